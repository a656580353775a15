// Role sums: codes of W_BITS bits, low bits first, less their zero point, times activations: the 32 from word `at` on, the
// words of a column `step` apart and sum_word applied to each.

fn sum_quad(at: u32, step: u32, quad: u32, zero: vec4<f32>) -> vec4<f32> {
    let bit = 4u * W_BITS * quad;
    let word = sum_word(w[at + bit / 32u * step]) >> (bit % 32u);
    let codes = (vec4<u32>(word) >> (W_BITS * vec4<u32>(0u, 1u, 2u, 3u))) & vec4<u32>((1u << W_BITS) - 1u);
    return vec4<f32>(vec4<i32>(codes)) - zero;
}

fn sum_codes(at: u32, step: u32, zero: f32, a: mat4x4<f32>, b: mat4x4<f32>) -> f32 {
    let z = vec4<f32>(zero);
    var s = a[0] * sum_quad(at, step, 0u, z);
    s = fma(a[1], sum_quad(at, step, 1u, z), s);
    s = fma(a[2], sum_quad(at, step, 2u, z), s);
    s = fma(a[3], sum_quad(at, step, 3u, z), s);
    s = fma(b[0], sum_quad(at, step, 4u, z), s);
    s = fma(b[1], sum_quad(at, step, 5u, z), s);
    s = fma(b[2], sum_quad(at, step, 6u, z), s);
    s = fma(b[3], sum_quad(at, step, 7u, z), s);
    return (s.x + s.y) + (s.z + s.w);
}
