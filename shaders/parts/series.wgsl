// Role series: exponentials and logarithms, of multiplications, additions and divisions only, so that every adapter
// has them to 2 ulp, also where the result is tiny. NaN is not looked at. No barriers.

// The word is a variable since the language has no constant that is infinite.
var<private> series_infinite: u32 = 0x7f800000u;

fn series_infinity() -> vec4<f32> {
    return vec4<f32>(bitcast<f32>(series_infinite));
}

// 2^n for -126 <= n <= 127.
fn series_power(n: vec4<i32>) -> vec4<f32> {
    return bitcast<vec4<f32>>((n + 127) << vec4<u32>(23u));
}

// e^r - 1 for |r| < 0.36, to 1 ulp: the series to r^8.
fn series_small_expm1(r: vec4<f32>) -> vec4<f32> {
    var s = 1.0 / 720.0 + r * (1.0 / 5040.0 + r * (1.0 / 40320.0));
    s = 1.0 / 24.0 + r * (1.0 / 120.0 + r * s);
    return r + r * r * (0.5 + r * (1.0 / 6.0 + r * s));
}

// x = n log 2 + r; log 2 in two pieces, of which n times the first is exact.
fn series_exp(v: vec4<f32>) -> vec4<f32> {
    let x = clamp(v, vec4<f32>(-104.0), vec4<f32>(89.0));
    let n = floor(x * 1.44269504 + 0.5);
    let r = (x - n * 0.693359375) + n * 2.12194440e-4;
    let whole = vec4<i32>(n);
    let half = whole / 2;
    let y = (1.0 + series_small_expm1(r)) * series_power(half) * series_power(whole - half);
    return select(y, series_infinity(), v > vec4<f32>(88.72284));
}

fn series_expm1(v: vec4<f32>) -> vec4<f32> {
    return select(series_exp(v) - 1.0, series_small_expm1(v), abs(v) < vec4<f32>(0.35));
}

// log(1 + f) + e log 2 for a factor 1 + f within sqrt(2) of 1: with s = f / (2 + f),
// log(1 + f) = f - f^2 / 2 + s (f^2 / 2 + 2 s^2 (1/3 + s^2 (1/5 + ..))).
fn series_log_of(f: vec4<f32>, e: vec4<f32>) -> vec4<f32> {
    let s = f / (2.0 + f);
    let z = s * s;
    let rest = z * (0.666666687 + z * (0.4 + z * (0.285714298 + z * 0.222222224)));
    let square = 0.5 * f * f;
    return e * 0.693359375 + (f - (square - (s * (square + rest) - e * 2.12194440e-4)));
}

// By the bits, so that a denormal x counts even where the adapter flushes it.
fn series_log(v: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(v);
    let low = bits & vec4<u32>(0x007fffffu);
    let shift = vec4<u32>(23u) - min(firstLeadingBit(low), vec4<u32>(23u));
    let small = bits < vec4<u32>(0x00800000u);
    let mantissa = select(low, (low << shift) & vec4<u32>(0x007fffffu), small);
    var e = select(vec4<i32>(bits >> vec4<u32>(23u)) - 127, -126 - vec4<i32>(shift), small);
    let high = mantissa > vec4<u32>(0x3504f3u);
    let m = bitcast<vec4<f32>>(mantissa | select(vec4<u32>(0x3f800000u), vec4<u32>(0x3f000000u), high));
    e = select(e, e + 1, high);
    let y = series_log_of(m - 1.0, vec4<f32>(e));
    let wrong = bitcast<vec4<f32>>(vec4<u32>(series_infinite | 0x00400000u));
    let ends = select(y, -series_infinity(), (bits << vec4<u32>(1u)) == vec4<u32>(0u));
    let top = select(ends, series_infinity(), bits == vec4<u32>(series_infinite));
    return select(top, wrong, bits > vec4<u32>(0x80000000u));
}

// log(1 + t) for t >= 0. Where 1 + t would round away what counts, the series takes t itself. (Giving back what the sum
// lost, t - ((1 + t) - 1), does not work: drivers simplify it to 0.)
fn series_log1p(t: vec4<f32>) -> vec4<f32> {
    let near = series_log_of(min(t, vec4<f32>(0.5)), vec4<f32>(0.0));
    return select(series_log(1.0 + t), near, t < vec4<f32>(0.41421356));
}
