// Role exp2: 2^(31 - z / 2^16) in integers, for z below 31 octaves. Uses mul_high of the role wide.
//
// Promise: the same word on every device. 2^-f is 1 - f (c1 - f (c2 - f (c3 - f (c4 - f c5)))) for f in [0, 1), a
// minimax fit within 1e-7 that is 1 at f = 0; the constants are times 2^32. What the octaves shift out is cut off.

fn weight(z: u32) -> u32 {
    let f = z << 16u;
    var r = 39538601u - mul_high(f, 4058330u);
    r = 237500345u - mul_high(f, r);
    r = 1031565859u - mul_high(f, r);
    r = 2977029614u - mul_high(f, r);
    return (0x80000000u - (mul_high(f, r) >> 1u)) >> (z >> 16u);
}
