// Role weight: a byte a value, row-major, and a factor for every tile of W_TILE_ROWS x W_TILE_COLS values:
//
//     w[n, k] = value(byte[n, k]) * factor[n / W_TILE_ROWS, k / W_TILE_COLS]
//
// W_E4M3 0: the byte is a signed integer, and the product is divided by 127 (LLM.int8, Dettmers et al. 2022), by
// multiplying with 1/127, so that all adapters have the same bits; 1: it is a float of 8 bits, e4m3fn. Sections, each of
// whole words: bytes, factors f32. One rounding; with 127 two more.

override W_TILE_ROWS: u32 = 1u;
override W_TILE_COLS: u32 = 128u;
override W_E4M3: u32 = 0u;

@group(0) @binding(2) var<storage, read> w: array<u32>;

// 1 sign, 4 exponent bits of bias 7, 3 bits of fraction; NaN where all but the sign are ones, no infinity.
fn w_e4m3(byte: u32) -> f32 {
    let magnitude = byte & 127u;
    // The fields moved to where f32 has them, times 2^(127 - 7); subnormals come out of the integer.
    let normal = bitcast<f32>((magnitude << 20u) + (120u << 23u));
    let value = select(normal, f32(magnitude) * 0.001953125, magnitude < 8u);
    let finite = select(value, bitcast<f32>(params.inner | 0x7fc00000u), magnitude == 127u);
    return select(finite, -finite, byte > 127u);
}

fn w_value(byte: u32, factor: f32) -> f32 {
    if W_E4M3 == 1u {
        return w_e4m3(byte) * factor;
    }
    // The constant first: compilers move it there, and not all do.
    return f32(extractBits(i32(byte), 0u, 8u)) * 0.007874015748031496 * factor;
}

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let factors = (params.chunk_cols * params.inner + 3u) / 4u;
    let tiles = (params.inner + W_TILE_COLS - 1u) / W_TILE_COLS;
    let row = factors + col / W_TILE_ROWS * tiles;
    let k = 4u * quad;
    if params.inner % 4u == 0u && W_TILE_COLS % 4u == 0u {
        // A word, and one factor.
        let bytes = unpack4xU8(w[(col * params.inner + k) / 4u]);
        let factor = bitcast<f32>(w[row + k / W_TILE_COLS]);
        return vec4<f32>(
            w_value(bytes.x, factor), w_value(bytes.y, factor), w_value(bytes.z, factor), w_value(bytes.w, factor));
    }
    var values = vec4<f32>();
    for (var i = 0u; i < min(4u, params.inner - k); i++) {
        let at = col * params.inner + k + i;
        let factor = bitcast<f32>(w[row + (k + i) / W_TILE_COLS]);
        values[i] = w_value(extractBits(w[at / 4u], 8u * (at % 4u), 8u), factor);
    }
    return values;
}
