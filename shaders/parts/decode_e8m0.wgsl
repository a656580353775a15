// Role decode: f32 bits of a power of two, 2^(word - 127) (the scales of the OCP Microscaling formats); 255 is NaN.

fn decode(word: u32) -> u32 {
    if word == 255u {
        return 0x7fc00000u;
    }
    return select(word << 23u, 0x400000u, word == 0u);
}
