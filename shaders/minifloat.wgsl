// Floats of few bits: their bits from f32 (override MODE 0), f32 from their bits (1), or f32 rounded to one of them (2).
//
// A format has EXPONENT and MANTISSA bits, a BIAS, and (override SPECIAL, the order of `Special` in
// src/kernels/minifloat.rs)
//
//     0 infinities and NaN as in IEEE 754    1 no infinity, NaN is all ones
//     2 no infinity, NaN is what would be -0 3 neither    4 powers of 2 only, no sign, NaN is all ones
//
// Rounded to the nearest, ties to even; powers of 2 by override ROUND: 0 the nearest, 1 up, 2 down. What is too large
// becomes the largest number where SATURATE, else infinite, or NaN where the format has no infinity.
//
// By integers throughout, so that denormal numbers count. A lane takes STEPS neighbouring cells.
//
// Parts: none

struct Params {
    items: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>; // [items], f32 or bits
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // [items], bits or f32

override LANES: u32 = 64;
override STEPS: u32 = 1;
override MODE: u32 = 0;
override EXPONENT: u32 = 5;
override MANTISSA: u32 = 10;
override BIAS: i32 = 15;
override SPECIAL: u32 = 0;
override ROUND: u32 = 0;
override SATURATE: bool = false;

const NAN: u32 = 0x7fc00000u;

fn largest() -> u32 {
    let all = (1u << (EXPONENT + MANTISSA)) - 1u;
    switch SPECIAL {
        case 0u: {
            return all - (1u << MANTISSA);
        }
        case 1u: {
            return all - 1u;
        }
        default: {
            return all;
        }
    }
}

// Of a number that is NaN, or too large for a format without infinity.
fn not_a_number(sign: u32) -> u32 {
    let all = (1u << (EXPONENT + MANTISSA)) - 1u;
    switch SPECIAL {
        case 0u: {
            return sign | (all - ((1u << MANTISSA) - 1u) / 2u);
        }
        case 1u: {
            return sign | all;
        }
        case 2u: {
            return all + 1u;
        }
        default: {
            return sign | all;
        }
    }
}

fn power_of_two(size: u32) -> u32 {
    let low = size & 0x007fffffu;
    // 2^-127 is below the smallest normal f32: the code 0 stands where the others have a hidden bit.
    let exact = select(0u, 0x00400000u, size < 0x00800000u);
    let nearer = select(low >= 0x00400000u, low >= 0x00600000u, size < 0x00800000u);
    var code = size >> 23u;
    if ROUND == 1u {
        code += select(0u, 1u, low > exact);
    } else if ROUND == 0u {
        code += select(0u, 1u, nearer);
    }
    if size > 0x7f800000u {
        return 255u;
    }
    return select(code, select(255u, 254u, SATURATE), code > 254u);
}

fn encoded(bits: u32) -> u32 {
    let size = bits & 0x7fffffffu;
    if SPECIAL == 4u {
        return power_of_two(size);
    }
    let sign = (bits >> 31u) << (EXPONENT + MANTISSA);
    if size > 0x7f800000u {
        return not_a_number(sign);
    }
    let hidden = select(0u, 0x00800000u, size >= 0x00800000u);
    let m = (size & 0x007fffffu) | hidden;
    let e = i32(max(size >> 23u, 1u)) - 127;
    let step = max(e, 1 - BIAS);
    let shift = min(u32(step - e) + 23u - MANTISSA, 31u);
    let kept = m >> shift;
    let lost = m & ((1u << shift) - 1u);
    let half = 1u << (shift - 1u);
    let up = lost > half || (lost == half && (kept & 1u) == 1u);
    let code = (u32(step + BIAS - 1) << MANTISSA) + kept + select(0u, 1u, up);
    if code > largest() || size == 0x7f800000u {
        if SATURATE || SPECIAL == 3u {
            return sign | largest();
        }
        return select(not_a_number(sign), sign | (largest() + 1u), SPECIAL == 0u);
    }
    return select(sign | code, 0u, SPECIAL == 2u && code == 0u);
}

fn decoded(code: u32) -> u32 {
    if SPECIAL == 4u {
        return select(select(code << 23u, 0x00400000u, code == 0u), NAN, code == 255u);
    }
    let all = (1u << (EXPONENT + MANTISSA)) - 1u;
    let body = code & all;
    let sign = ((code >> (EXPONENT + MANTISSA)) & 1u) << 31u;
    let odd = (SPECIAL == 1u && body == all) || (SPECIAL == 2u && body == 0u && sign != 0u);
    let e = body >> MANTISSA;
    let m = body & ((1u << MANTISSA) - 1u);
    if odd || (SPECIAL == 0u && body > largest()) {
        return select(NAN | sign, 0x7f800000u | sign, SPECIAL == 0u && m == 0u);
    }
    if e > 0u {
        return sign | (u32(i32(e) - BIAS + 127) << 23u) | (m << (23u - MANTISSA));
    }
    if m == 0u || BIAS == 127 {
        return sign | (m << (23u - MANTISSA));
    }
    let top = firstLeadingBit(m);
    let exponent = u32(i32(top) + 128 - BIAS - i32(MANTISSA));
    return sign | (exponent << 23u) | ((m << (23u - top)) & 0x007fffffu);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    let end = min(first + STEPS, params.items);
    for (var i = first; i < end; i++) {
        switch MODE {
            case 0u: {
                y[i] = encoded(x[i]);
            }
            case 1u: {
                y[i] = decoded(x[i]);
            }
            default: {
                y[i] = decoded(encoded(x[i]));
            }
        }
    }
}
