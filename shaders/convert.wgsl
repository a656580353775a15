// Numbers from one type to another (overrides SOURCE and RESULT, the order of `Number` in src/kernels/convert.rs):
//
//     0 f32   1 i32   2 u32   3 i64   4 u64, the last two as two words, the low one first
//
// A float is cut towards 0 and held in the range of 64 bits; NaN becomes 0. Whole numbers wrap to the width of the
// result (override BITS, at most 32 where it is a word). A float nearest to a whole number is taken, ties to even.
//
// All numbers pass through 64 bits, with the sign apart. A lane takes STEPS neighbouring cells.
//
// Parts: none

struct Params {
    items: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>; // [items] or [items, 2]
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // [items] or [items, 2]

override LANES: u32 = 64;
override STEPS: u32 = 1;
override SOURCE: u32 = 0;
override RESULT: u32 = 0;
override BITS: u32 = 32;

fn negated(v: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(0u - v.x, ~v.y + select(0u, 1u, v.x == 0u));
}

// v * 2^n, for n of either sign; 0 where it leaves 64 bits below.
fn shifted(v: u32, n: i32) -> vec2<u32> {
    if n <= 0 {
        return vec2<u32>(select(v >> u32(-n & 31), 0u, n < -31), 0u);
    }
    let up = u32(n & 31);
    let near = vec2<u32>(v << up, (v >> 1u) >> (31u - up));
    return select(near, vec2<u32>(0u, near.x), n > 31);
}

// Size of a float cut to a whole number: below 2^63, or 2^64 where the result has no sign.
fn cut(bits: u32) -> vec2<u32> {
    let e = i32((bits >> 23u) & 0xffu) - 150;
    let most = select(40, 41, RESULT == 4u);
    if (bits & 0x7fffffffu) > 0x7f800000u {
        return vec2<u32>(0u);
    }
    if e >= most {
        return vec2<u32>(0xffffffffu, select(0x7fffffffu, 0xffffffffu, RESULT == 4u));
    }
    return shifted((bits & 0x007fffffu) | 0x00800000u, e);
}

// The number in two's complement.
fn taken(i: u32) -> vec2<u32> {
    switch SOURCE {
        case 0u: {
            let bits = x[i];
            let size = cut(bits);
            return select(size, negated(size), bits >= 0x80000000u);
        }
        case 1u: {
            return vec2<u32>(x[i], select(0u, 0xffffffffu, x[i] >= 0x80000000u));
        }
        case 2u: {
            return vec2<u32>(x[i], 0u);
        }
        default: {
            return vec2<u32>(x[2u * i], x[2u * i + 1u]);
        }
    }
}

// The float nearest to a whole number without sign, as bits.
fn nearest(v: vec2<u32>) -> u32 {
    if (v.x | v.y) == 0u {
        return 0u;
    }
    let top = select(firstLeadingBit(v.x), 32u + firstLeadingBit(v.y), v.y > 0u);
    // The 32 bits from the top one down, and whether anything is below them.
    let up = 63u - top;
    let n = up & 31u;
    let high = (v.y << n) | ((v.x >> 1u) >> (31u - n));
    let word = select(high, v.x << n, up >= 32u);
    let below = select(v.x << n, 0u, up >= 32u) != 0u;
    let odd = ((word >> 8u) & 1u) == 1u;
    let rest = word & 0xffu;
    let more = rest > 0x80u || (rest == 0x80u && (below || odd));
    return ((top + 127u) << 23u) + ((word >> 8u) & 0x007fffffu) + select(0u, 1u, more);
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
        let v = taken(i);
        let below = SOURCE != 2u && SOURCE != 4u && v.y >= 0x80000000u;
        switch RESULT {
            case 0u: {
                y[i] = nearest(select(v, negated(v), below)) | select(0u, 0x80000000u, below);
            }
            case 1u: {
                y[i] = bitcast<u32>(bitcast<i32>(v.x << (32u - BITS)) >> (32u - BITS));
            }
            case 2u: {
                y[i] = (v.x << (32u - BITS)) >> (32u - BITS);
            }
            default: {
                y[2u * i] = v.x;
                y[2u * i + 1u] = v.y;
            }
        }
    }
}
