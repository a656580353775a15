// Role weight: GPTQ (Frantar et al. 2022) as its tools save it, codes of 2, 4 or 8 bits packed along k:
//
//     w[n, k] = (code[k, n] - zero[g, n]) * scale[g, n],   g = order[k] or k / W_BLOCK
//
// Sections, each of whole words: codes [k / per word, n], zeros [groups, n / per word] (W_PLUS is added to each),
// scales f16 [groups, n], order [k]. Low bits first. One rounding, of the product.

override W_BITS: u32 = 4u;
override W_BLOCK: u32 = 128u;
override W_GROUPS: u32 = 1u;
override W_PLUS: u32 = 1u;
override W_ORDERED: u32 = 0u;

@group(0) @binding(2) var<storage, read> w: array<u32>;

// Zero and scale of value k.
fn w_terms(k: u32, col: u32) -> vec2<f32> {
    let n = params.chunk_cols;
    let per = 32u / W_BITS;
    let zeros = (params.inner + per - 1u) / per * n;
    let zero_row = (n + per - 1u) / per;
    let scales = zeros + W_GROUPS * zero_row;
    var g = k / W_BLOCK;
    if W_ORDERED == 1u {
        g = w[scales + (W_GROUPS * n + 1u) / 2u + k];
    }
    g = min(g, W_GROUPS - 1u);
    let zero = extractBits(w[zeros + g * zero_row + col / per], W_BITS * (col % per), W_BITS) + W_PLUS;
    let at = g * n + col;
    return vec2<f32>(f32(zero), unpack2x16float(w[scales + at / 2u])[at % 2u]);
}

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let k = 4u * quad;
    let per = 32u / W_BITS;
    let word = w[k / per * params.chunk_cols + col];
    var terms = w_terms(k, col);
    var values = vec4<f32>();
    for (var i = 0u; i < min(4u, params.inner - k); i++) {
        // Zero and scale of a quad are the same where it lies in one group.
        if W_ORDERED == 1u || W_BLOCK % 4u != 0u {
            terms = w_terms(k + i, col);
        }
        values[i] = (f32(extractBits(word, W_BITS * ((k + i) % per), W_BITS)) - terms.x) * terms.y;
    }
    return values;
}
