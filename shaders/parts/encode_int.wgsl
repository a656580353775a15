// Role encode: the low TO_BITS bits of the integer towards zero, as C has it where that integer has 32 bits.

override TO_BITS: u32 = 32u;
override TO_SIGNED: u32 = 0u;

fn encode(bits: u32) -> u32 {
    let value = bitcast<f32>(bits);
    let word = select(u32(value), u32(i32(value)), value < 0.0 || TO_SIGNED == 1u);
    if TO_SIGNED == 1u {
        return u32(extractBits(i32(word), 0u, TO_BITS));
    }
    return extractBits(word, 0u, TO_BITS);
}
