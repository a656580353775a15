// Role decode: f32 bits of an f32.

fn decode(word: u32) -> u32 {
    return word;
}
