// Role pack: blocks of MXFP4 as ggml keeps it: the exponent of max |x| less 2 (OCP Microscaling formats), so that x by that
// power of two is under 8 in size; then the nearest of 0 .5 1 1.5 2 3 4 6, of two as near the smaller.

const PACK_STEP = 4u;

fn pack_bytes() -> u32 {
    return 17u;
}

fn pack_code(value: f32, inverse: f32) -> u32 {
    let size = abs(value) * inverse;
    let middles = array<f32, 7>(0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0);
    var code = 0u;
    for (var i = 0u; i < 7u; i++) {
        code += select(0u, 1u, size > middles[i]);
    }
    return code | select(0u, 8u, value < 0.0 && code > 0u);
}

fn pack_block(block: u32, first: u32) {
    let most = abs(extreme(first, 32u));
    // 127 + floor(log2 max |x|) - 2: what lies below 2^-124 is zero.
    let exponent = bitcast<u32>(most) >> 23u;
    let e = select(0u, exponent - 2u, exponent > 2u);
    let inverse = select(0.0, bitcast<f32>((254u - e) << 23u), exponent > 2u);
    stream_u8(e);
    for (var l = 0u; l < 16u; l++) {
        stream_u8(pack_code(x[first + l], inverse) | (pack_code(x[first + 16u + l], inverse) << 4u));
    }
}
