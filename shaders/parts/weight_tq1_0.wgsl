// Role weight: TQ1_0 of ggml, blocks of 256 values in 54 bytes: 52 bytes of five or four ternary digits each, d f16. Digit n
// of a byte b is (3 (b 3^n mod 256)) / 256. Values 0 .. 159 are digits 0 .. 4 of bytes 0 .. 31, 32 at a time; 160 .. 239
// those of bytes 32 .. 47, 16 at a time; 240 .. 255 digits 0 .. 3 of the last four. w = d (digit - 1), exactly.

fn w_quad(quad: u32, col: u32) -> vec4<f32> {
    let at = (col * (params.inner / 256u) + quad / 64u) * 54u;
    let e = 4u * (quad % 64u);
    var first = e % 32u;
    var digit = e / 32u;
    if e >= 240u {
        first = 48u;
        digit = e / 4u - 60u;
    } else if e >= 160u {
        first = 32u + e % 16u;
        digit = e / 16u - 10u;
    }
    var powers = array<u32, 5>(1u, 3u, 9u, 27u, 81u);
    let shifted = (unpack4xU8(block_u32(at + first)) * powers[digit]) & vec4<u32>(255u);
    return block_f16(at + 52u) * (vec4<f32>((3u * shifted) >> vec4<u32>(8u)) - 1.0);
}
