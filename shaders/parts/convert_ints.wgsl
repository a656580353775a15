// Role convert: from integer to integer of TO_BITS bits: the low bits, as C has it.

override TO_BITS: u32 = 8u;
override TO_SIGNED: u32 = 0u;

fn convert(word: u32) -> u32 {
    if TO_SIGNED == 1u {
        return u32(extractBits(i32(word), 0u, TO_BITS));
    }
    return extractBits(word, 0u, TO_BITS);
}
