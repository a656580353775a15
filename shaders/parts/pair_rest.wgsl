// Role pair: what a division leaves, by the override OP: 0 with the sign of x (C's fmod), 1 with the sign of b (the
// floored division's rest).
//
// Promise: 0 is exact for all numbers, by long division in integers, eight bits a step; 1 adds b where the signs
// differ, one rounding. NaN where b is 0 or x infinite. No barriers.

fn pair_rest(x: f32, b: f32) -> f32 {
    let top = bitcast<u32>(x) & 0x7fffffffu;
    let bottom = bitcast<u32>(b) & 0x7fffffffu;
    if top >= 0x7f800000u || bottom > 0x7f800000u || bottom == 0u {
        return bitcast<f32>(top | 0x7fc00000u);
    }
    if top < bottom {
        return x;
    }
    // Denormal numbers have the exponent 1 and no hidden bit.
    let e = max(bottom >> 23u, 1u);
    let divisor = (bottom & 0x007fffffu) | select(0u, 0x00800000u, bottom >= 0x00800000u);
    var m = (top & 0x007fffffu) | select(0u, 0x00800000u, top >= 0x00800000u);
    var n = max(top >> 23u, 1u) - e;
    m %= divisor;
    while n >= 8u {
        m = (m << 8u) % divisor;
        n -= 8u;
    }
    m = (m << n) % divisor;
    let shift = min(23u - min(firstLeadingBit(m), 23u), e - 1u);
    m <<= shift;
    let bits = select(m, ((e - shift) << 23u) | (m & 0x007fffffu), m >= 0x00800000u);
    return bitcast<f32>(bits | (bitcast<u32>(x) & 0x80000000u));
}

fn pair_floored(x: f32, b: f32) -> f32 {
    let r = pair_rest(x, b);
    let bits = bitcast<u32>(r);
    let sign = bitcast<u32>(b) & 0x80000000u;
    if (bits & 0x7fffffffu) == 0u {
        return bitcast<f32>(sign);
    }
    return select(r, r + b, (bits & 0x80000000u) != sign);
}

fn pair(v: vec4<f32>, other: vec4<f32>) -> vec4<f32> {
    if OP == 0u {
        return vec4<f32>(
            pair_rest(v.x, other.x),
            pair_rest(v.y, other.y),
            pair_rest(v.z, other.z),
            pair_rest(v.w, other.w),
        );
    }
    return vec4<f32>(
        pair_floored(v.x, other.x),
        pair_floored(v.y, other.y),
        pair_floored(v.z, other.z),
        pair_floored(v.w, other.w),
    );
}
