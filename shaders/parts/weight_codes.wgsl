// Role weight: codes of 1, 2, 4 or 8 bits in rows, a scale and a zero point for every W_BLOCK values along k:
//
//     w[n, k] = (code[n, k] - zero[n, g]) * scale[n, g],   g = order[k] or k / W_BLOCK
//
// Sections of the buffer, each of whole words: codes (element k of a row at bit k W_BITS, low bits first, a row padded
// to W_ALIGN bits), scales [n, groups], zeros, order [k]. Zeros by W_ZERO: 0 all are W_FIXED; 1 codes [n, groups], a row
// padded to W_ZERO_ALIGN bits; 2 numbers like the scales; 3 codes packed along n, [ceil(n / per word), groups] words.
// One rounding, of the product; another one of a zero that is no integer.

override W_BITS: u32 = 4u;
override W_SIGNED: u32 = 0u; // codes and packed zeros are two's complement
override W_BLOCK: u32 = 32u;
override W_ALIGN: u32 = 32u;
override W_SCALE: u32 = 0u; // 0 f32, 1 f16, 2 bf16
override W_ZERO: u32 = 0u;
override W_FIXED: u32 = 8u;
override W_ZERO_ALIGN: u32 = 8u;
override W_ORDERED: u32 = 0u;
override W_MIXED: u32 = 0u; // a quad may have values of several groups

@group(0) @binding(2) var<storage, read> w: array<u32>;

fn w_groups() -> u32 {
    return (params.inner + W_BLOCK - 1u) / W_BLOCK;
}

fn w_row_bits() -> u32 {
    return (params.inner * W_BITS + W_ALIGN - 1u) / W_ALIGN * W_ALIGN;
}

fn w_zero_bits() -> u32 {
    return (w_groups() * W_BITS + W_ZERO_ALIGN - 1u) / W_ZERO_ALIGN * W_ZERO_ALIGN;
}

fn w_scales_at() -> u32 {
    return (params.chunk_cols * w_row_bits() + 31u) / 32u;
}

// Words of a list of numbers like the scales.
fn w_numbers(count: u32) -> u32 {
    return select((count + 1u) / 2u, count, W_SCALE == 0u);
}

fn w_number(at: u32, i: u32) -> f32 {
    switch W_SCALE {
        case 0u: {
            return bitcast<f32>(w[at + i]);
        }
        case 1u: {
            return unpack2x16float(w[at + i / 2u])[i % 2u];
        }
        default: {
            return bitcast<f32>(extractBits(w[at + i / 2u], 16u * (i % 2u), 16u) << 16u);
        }
    }
}

fn w_signed(code: u32) -> f32 {
    if W_SIGNED == 1u {
        return f32(extractBits(i32(code), 0u, W_BITS));
    }
    return f32(code);
}

fn w_zeros_words() -> u32 {
    switch W_ZERO {
        case 1u: {
            return (params.chunk_cols * w_zero_bits() + 31u) / 32u;
        }
        case 2u: {
            return w_numbers(params.chunk_cols * w_groups());
        }
        case 3u: {
            return (params.chunk_cols * W_BITS + 31u) / 32u * w_groups();
        }
        default: {
            return 0u;
        }
    }
}

fn w_zero(at: u32, col: u32, g: u32) -> f32 {
    switch W_ZERO {
        case 1u: {
            let bit = col * w_zero_bits() + g * W_BITS;
            return w_signed(extractBits(w[at + bit / 32u], bit % 32u, W_BITS));
        }
        case 2u: {
            return w_number(at, col * w_groups() + g);
        }
        case 3u: {
            let bit = col * W_BITS;
            return f32(extractBits(w[at + bit / 32u * w_groups() + g], bit % 32u, W_BITS));
        }
        default: {
            return f32(W_FIXED);
        }
    }
}

// Scale and zero point of a value.
fn w_terms(k: u32, col: u32) -> vec2<f32> {
    let scales = w_scales_at();
    let zeros = scales + w_numbers(params.chunk_cols * w_groups());
    var g = k / W_BLOCK;
    if W_ORDERED == 1u {
        g = w[zeros + w_zeros_words() + k];
    }
    g = min(g, w_groups() - 1u);
    return vec2<f32>(w_number(scales, col * w_groups() + g), w_zero(zeros, col, g));
}

// The codes of four values: they may lie in two words.
fn w_codes(quad: u32, col: u32) -> vec4<f32> {
    let bit = col * w_row_bits() + 4u * quad * W_BITS;
    let shift = bit % 32u;
    var word = w[bit / 32u] >> shift;
    if shift + 4u * W_BITS > 32u {
        word |= w[bit / 32u + 1u] << (32u - shift);
    }
    let b = W_BITS;
    return vec4<f32>(
        w_signed(extractBits(word, 0u, b)),
        w_signed(extractBits(word, b, b)),
        w_signed(extractBits(word, 2u * b, b)),
        w_signed(extractBits(word, 3u * b, b)),
    );
}

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let k = 4u * quad;
    let codes = w_codes(quad, col);
    var values: vec4<f32>;
    if W_MIXED == 1u {
        for (var i = 0u; i < 4u; i++) {
            let terms = w_terms(min(k + i, params.inner - 1u), col);
            values[i] = (codes[i] - terms.y) * terms.x;
        }
    } else {
        let terms = w_terms(k, col);
        values = (codes - terms.y) * terms.x;
    }
    return select(vec4<f32>(), values, vec4<u32>(k, k + 1u, k + 2u, k + 3u) < vec4<u32>(params.inner));
}
