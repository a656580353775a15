// Role pair: x to the power b, as IEEE 754 has it: 1 where b is 0 or x is 1; NaN where x is negative and b not whole.
//
// log2 |x| is held in two pieces, the first of 12 bits, and so is b, so that the leading product is exact:
// with s = (m - 1) / (m + 1), log2 m = 2 / log 2 (s + s^3 / 3 + ..), for a factor m within sqrt(2) of 1.
//
// Promise: 4 ulp, and exact where x, b and the power are whole and the power is below 2^22. No barriers.

// The word is a variable since the language has no constant that is infinite.
var<private> pair_infinite: u32 = 0x7f800000u;

// The upper 12 bits of the mantissa. By integers, so that no compiler sees through it.
fn pair_head(v: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(v) & vec4<u32>(0xfffff000u));
}

// 2^n for -126 <= n <= 127.
fn pair_scale(n: vec4<i32>) -> vec4<f32> {
    return bitcast<vec4<f32>>((n + 127) << vec4<u32>(23u));
}

// |x|^b for finite x other than 0 and finite b; `bits` are those of |x|.
fn pair_magnitude(bits: vec4<u32>, b: vec4<f32>) -> vec4<f32> {
    let low = bits & vec4<u32>(0x007fffffu);
    let shift = vec4<u32>(23u) - min(firstLeadingBit(low), vec4<u32>(23u));
    let small = bits < vec4<u32>(0x00800000u);
    let mantissa = select(low, (low << shift) & vec4<u32>(0x007fffffu), small);
    let whole = select(vec4<i32>(bits >> vec4<u32>(23u)) - 127, -126 - vec4<i32>(shift), small);
    let high = mantissa > vec4<u32>(0x3504f3u);
    let m = bitcast<vec4<f32>>(mantissa | select(vec4<u32>(0x3f800000u), vec4<u32>(0x3f000000u), high));
    let e = vec4<f32>(select(whole, whole + 1, high));
    let f = m - 1.0;
    let d = pair_head(m + 1.0);
    let s = f / (m + 1.0);
    let first = pair_head(s);
    let second = ((f - first * d) - first * (m - (d - 1.0))) / (m + 1.0);
    let z = s * s;
    let series = 0.961796694 + z * (0.577078016 + z * (0.412198583 + z * (0.320598898 + z * 0.262308189)));
    // 2 / log 2 = 2.884765625, which has 12 bits, and the rest.
    let lead = 2.884765625 * first;
    let tail = 2.884765625 * second + 6.24456778e-4 * s + s * z * series;
    let log_head = pair_head(e + lead);
    let log_rest = ((e - log_head) + lead) + tail;
    let b_head = pair_head(b);
    let exact = b_head * log_head;
    let rest = b_head * log_rest + (b - b_head) * (log_head + log_rest);
    let rough = b * (log_head + log_rest);
    let n = floor(clamp(exact + rest, vec4<f32>(-160.0), vec4<f32>(130.0)) + 0.5);
    let r = ((exact - n) + rest) * 0.693147181;
    var g = 1.0 / 720.0 + r * (1.0 / 5040.0 + r * (1.0 / 40320.0));
    g = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * g)))));
    let half = vec4<i32>(n) / 2;
    let y = g * pair_scale(half) * pair_scale(vec4<i32>(n) - half);
    let endless = vec4<f32>(bitcast<f32>(pair_infinite));
    return select(select(y, endless, rough >= vec4<f32>(128.0)), vec4<f32>(0.0), rough < vec4<f32>(-151.0));
}

fn pair(v: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let size = bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu);
    let b_size = bitcast<vec4<u32>>(b) & vec4<u32>(0x7fffffffu);
    let infinite = vec4<u32>(pair_infinite);
    let zero = vec4<f32>(0.0);
    let endless = bitcast<vec4<f32>>(infinite);
    let wrong = bitcast<vec4<f32>>(infinite | vec4<u32>(0x00400000u));
    let whole = (floor(b) == b) | (b_size >= vec4<u32>(0x4b800000u));
    let odd = (b_size < vec4<u32>(0x4b800000u)) & (b - 2.0 * floor(0.5 * b) == vec4<f32>(1.0));
    let below = (bitcast<vec4<u32>>(v) >> vec4<u32>(31u)) == vec4<u32>(1u);
    let up = b_size == bitcast<vec4<u32>>(b);
    var y = pair_magnitude(size, b);
    let counts = whole & (floor(v) == v) & (y < vec4<f32>(4194304.0)) & up;
    y = select(y, round(y), counts);
    // 0 and infinity swap where b is negative; so do x below and above 1 where b is infinite.
    y = select(y, select(endless, zero, up), size == vec4<u32>(0u));
    y = select(y, select(zero, endless, up), size == infinite);
    let far = select(zero, endless, (size > vec4<u32>(0x3f800000u)) == up);
    y = select(y, far, b_size == infinite);
    y = select(y, -y, below & odd);
    y = select(y, wrong, below & !whole & (size < infinite) & (size > vec4<u32>(0u)));
    y = select(y, wrong, (size > infinite) | (b_size > infinite));
    let one = (size == vec4<u32>(0x3f800000u)) & (!below | (b_size == infinite));
    return select(y, vec4<f32>(1.0), one | (b_size == vec4<u32>(0u)));
}
