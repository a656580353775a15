// Role words: whole words of weights in blocks that begin at even bytes, and the codes in them. Binds w.

@group(0) @binding(2) var<storage, read> w: array<u32>;

// Four bytes from the third of `low` on; of a block that begins in the middle of a word (odd), those of `high`.
fn words_third(low: u32, high: u32, odd: bool) -> u32 {
    return select((low >> 16u) | (high << 16u), high, odd);
}

// Four bytes from the first of `low` on; of a block that begins in the middle of a word (odd), from its third on.
fn words_first(low: u32, high: u32, odd: bool) -> u32 {
    return select(low, (low >> 16u) | (high << 16u), odd);
}

// The f16 in the lower half of a word; of a block that begins in the middle of a word (odd), in the upper half.
fn words_half(word: u32, odd: bool) -> f32 {
    return unpack2x16float(select(word, word >> 16u, odd)).x;
}

// Four bytes, none of which has its highest bit set.
fn words_bytes(word: u32) -> vec4<f32> {
    return vec4<f32>(vec4<i32>(unpack4xU8(word)));
}

// The low four bits of four bytes.
fn words_low(word: u32) -> vec4<f32> {
    return words_bytes(word & 0x0f0f0f0fu);
}

// The high four bits of four bytes.
fn words_high(word: u32) -> vec4<f32> {
    return words_bytes((word >> 4u) & 0x0f0f0f0fu);
}

// Bits 0 .. 3, one in the fifth bit of each byte.
fn words_fifth(bits: u32) -> u32 {
    return (((bits & 15u) * 0x204081u) & 0x01010101u) << 4u;
}

fn words_sum(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}
