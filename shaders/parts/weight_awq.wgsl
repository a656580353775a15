// Role weight: AWQ (Lin et al. 2023) in the layout "gemm", codes of 4 bits packed along n, out of order:
//
//     w[n, k] = (code[k, n] - zero[g, n]) * scale[g, n],   g = k / W_BLOCK
//
// Sections, each of whole words: codes [k, n / 8], zeros [groups, n / 8], scales f16 [groups, n]. Column n of a word is
// at bit 4 p, p = 0 4 1 5 2 6 3 7 for n % 8 = 0 .. 7. One rounding, of the product.

override W_BLOCK: u32 = 128u;

@group(0) @binding(2) var<storage, read> w: array<u32>;

// Zero and scale of a group.
fn w_terms(zeros: u32, scales: u32, g: u32, col: u32, shift: u32) -> vec2<f32> {
    let n = params.chunk_cols;
    let at = g * n + col;
    let zero = extractBits(w[zeros + g * (n / 8u) + col / 8u], shift, 4u);
    return vec2<f32>(f32(zero), unpack2x16float(w[scales + at / 2u])[at % 2u]);
}

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let n = params.chunk_cols;
    let row = n / 8u;
    let groups = (params.inner + W_BLOCK - 1u) / W_BLOCK;
    let zeros = params.inner * row;
    let scales = zeros + groups * row;
    let lane = col % 8u;
    let shift = 4u * (lane / 2u + lane % 2u * 4u);
    let first = 4u * quad;
    var terms = w_terms(zeros, scales, first / W_BLOCK, col, shift);
    var values = vec4<f32>();
    for (var i = 0u; i < min(4u, params.inner - first); i++) {
        // Zero and scale of a quad are the same where it lies in one group.
        if W_BLOCK % 4u != 0u {
            terms = w_terms(zeros, scales, (first + i) / W_BLOCK, col, shift);
        }
        let code = extractBits(w[(first + i) * row + col / 8u], shift, 4u);
        values[i] = (f32(code) - terms.x) * terms.y;
    }
    return values;
}
