// Role encode: whether a number is other than zero; NaN is.

fn encode(bits: u32) -> u32 {
    return select(1u, 0u, (bits & 0x7fffffffu) == 0u);
}
