// Role weight: AWQ (Lin et al. 2023) in the layout "gemm", codes of 4 bits packed along n, out of order:
//
//     w[n, k] = (code[k, n] - zero[g, n]) * scale[g, n],   g = k / W_BLOCK
//
// Sections, each of whole words: codes [k, n / 8], zeros [groups, n / 8], scales f16 [groups, n]. Column n of a word is
// at bit 4 p, p = 0 4 1 5 2 6 3 7 for n % 8 = 0 .. 7. One rounding, of the product.

override W_BLOCK: u32 = 128u;

@group(0) @binding(2) var<storage, read> w: array<u32>;

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let n = params.chunk_cols;
    let row = n / 8u;
    let groups = (params.inner + W_BLOCK - 1u) / W_BLOCK;
    let zeros = params.inner * row;
    let scales = zeros + groups * row;
    let lane = col % 8u;
    let shift = 4u * (lane / 2u + lane % 2u * 4u);
    var values = vec4<f32>();
    for (var i = 0u; i < min(4u, params.inner - 4u * quad); i++) {
        let k = 4u * quad + i;
        let g = k / W_BLOCK;
        let code = extractBits(w[k * row + col / 8u], shift, 4u);
        let zero = extractBits(w[zeros + g * row + col / 8u], shift, 4u);
        let at = g * n + col;
        values[i] = (f32(code) - f32(zero)) * unpack2x16float(w[scales + at / 2u])[at % 2u];
    }
    return values;
}
