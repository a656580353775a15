// Role weight: codes of 4 bits that name entries of a table, a magnitude for every W_BLOCK values (NF4 and FP4 of
// Dettmers et al. 2023):
//
//     w[n, k] = table[code[i]] * magnitude[i / W_BLOCK],   i = n * inner + k
//
// Sections, each of whole words: codes (row-major, two a byte, the HIGH bits first), magnitudes, table f32 [16].
// W_NESTED 0: magnitudes are f32. Else they are codes of 8 bits of a second table:
//
//     magnitude[j] = second[code[j]] * factor[j / W_NESTED] + offset
//
// with the sections factor f32, second f32 [256] and offset f32 after the table. One rounding, of the product; two more of
// a nested magnitude.

override W_BLOCK: u32 = 64u;
override W_NESTED: u32 = 0u;

@group(0) @binding(2) var<storage, read> w: array<u32>;

fn w_blocks() -> u32 {
    return (params.chunk_cols * params.inner + W_BLOCK - 1u) / W_BLOCK;
}

fn w_magnitudes_at() -> u32 {
    return (params.chunk_cols * params.inner + 7u) / 8u;
}

fn w_table_at() -> u32 {
    return w_magnitudes_at() + select((w_blocks() + 3u) / 4u, w_blocks(), W_NESTED == 0u);
}

fn w_magnitude(block: u32) -> f32 {
    let at = w_magnitudes_at();
    if W_NESTED == 0u {
        return bitcast<f32>(w[at + block]);
    }
    let factors = w_table_at() + 16u;
    // Never 0, which a compiler might divide by before it drops this branch.
    let per = max(W_NESTED, 1u);
    let second = factors + (w_blocks() + per - 1u) / per;
    let code = extractBits(w[at + block / 4u], 8u * (block % 4u), 8u);
    return bitcast<f32>(w[second + code]) * bitcast<f32>(w[factors + block / per])
        + bitcast<f32>(w[second + 256u]);
}

fn w_entry(code: u32) -> f32 {
    return bitcast<f32>(w[w_table_at() + code]);
}

fn w_value(i: u32) -> f32 {
    // The first of a byte is in its high bits.
    return w_entry(extractBits(w[i / 8u], 4u * ((i % 8u) ^ 1u), 4u)) * w_magnitude(i / W_BLOCK);
}

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let k = 4u * quad;
    let first = col * params.inner + k;
    if params.inner % 4u == 0u && W_BLOCK % 4u == 0u {
        // Two bytes of a word, and one magnitude.
        let codes = w[first / 8u] >> (4u * (first % 8u));
        return w_magnitude(first / W_BLOCK) * vec4<f32>(
            w_entry((codes >> 4u) & 15u), w_entry(codes & 15u), w_entry((codes >> 12u) & 15u), w_entry((codes >> 8u) & 15u));
    }
    var values = vec4<f32>();
    for (var i = 0u; i < min(4u, params.inner - k); i++) {
        values[i] = w_value(first + i);
    }
    return values;
}
