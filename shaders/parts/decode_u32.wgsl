// Role decode: f32 bits of an unsigned integer; rounded where it has over 24 bits.

fn decode(word: u32) -> u32 {
    return bitcast<u32>(f32(word));
}
