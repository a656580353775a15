// Role products: 64 weights of each of four neighbouring columns in AWQ's codes (see weight_awq), k in runs of 64, groups
// of whole halves of these, times as many activations. A word has the codes of eight columns, so the columns share loads.

// Zeros and scales of a group for columns col .. col + 3, which begin or end a word.
struct Terms {
    zero: vec4<f32>,
    scale: vec4<f32>,
}

// The codes of the columns in a word.
fn product_four(word: u32, half: u32) -> vec4<f32> {
    return vec4<f32>(vec4<i32>((vec4<u32>(word >> half) >> vec4<u32>(0u, 16u, 4u, 20u)) & vec4<u32>(15u)));
}

fn product_terms(k: u32, col: u32, half: u32) -> Terms {
    let n = params.chunk_cols;
    let row = n / 8u;
    let groups = (params.inner + W_BLOCK - 1u) / W_BLOCK;
    let zeros = params.inner * row;
    let g = k / W_BLOCK;
    let scales = zeros + groups * row + (g * n + col) / 2u;
    return Terms(
        product_four(w[zeros + g * row + col / 8u], half),
        vec4<f32>(unpack2x16float(w[scales]), unpack2x16float(w[scales + 1u])),
    );
}

fn product_quad(x: vec4<f32>, at: u32, row: u32, half: u32, zero: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    var s = fma(vec4<f32>(x.x), product_four(w[at], half) - zero, sum);
    s = fma(vec4<f32>(x.y), product_four(w[at + row], half) - zero, s);
    s = fma(vec4<f32>(x.z), product_four(w[at + 2u * row], half) - zero, s);
    return fma(vec4<f32>(x.w), product_four(w[at + 3u * row], half) - zero, s);
}

fn product_sixteen(x: mat4x4<f32>, at: u32, row: u32, half: u32, zero: vec4<f32>, sum: vec4<f32>) -> vec4<f32> {
    var s = product_quad(x[0], at, row, half, zero, sum);
    s = product_quad(x[1], at + 4u * row, row, half, zero, s);
    s = product_quad(x[2], at + 8u * row, row, half, zero, s);
    return product_quad(x[3], at + 12u * row, row, half, zero, s);
}

fn w_products(
    run: u32, lane: u32, cols: vec4<u32>, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>
) -> vec4<f32> {
    let row = params.chunk_cols / 8u;
    let half = cols.x % 8u / 4u * 8u;
    let k = 64u * run;
    let at = k * row + cols.x / 8u;
    let t = product_terms(k, cols.x, half);
    var s = product_sixteen(a, at, row, half, t.zero, vec4<f32>());
    s = product_sixteen(b, at + 16u * row, row, half, t.zero, s);
    var q = t;
    if W_BLOCK % 64u != 0u {
        q = product_terms(k + 32u, cols.x, half);
    }
    var r = product_sixteen(c, at + 32u * row, row, half, q.zero, vec4<f32>());
    r = product_sixteen(d, at + 48u * row, row, half, q.zero, r);
    return t.scale * s + q.scale * r;
}
