// Role iq4: the 16 values of the codes of IQ4_NL and IQ4_XS of ggml, four signed bytes a word.
//
//     -127 -104 -83 -65   -49 -35 -22 -10   1 13 25 38   53 69 89 113

fn iq4_value(code: u32) -> f32 {
    let words = vec4<u32>(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);
    return f32(extractBits(i32(words[code / 4u] >> (8u * (code % 4u))), 0u, 8u));
}

fn iq4_values(codes: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(iq4_value(codes.x), iq4_value(codes.y), iq4_value(codes.z), iq4_value(codes.w));
}
