// Role encode: f32 bits stay what they are.

fn encode(bits: u32) -> u32 {
    return bits;
}
