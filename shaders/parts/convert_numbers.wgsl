// Role convert: from any number to any, through f32.

fn convert(word: u32) -> u32 {
    return encode(decode(word));
}
