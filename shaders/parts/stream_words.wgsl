// Role stream: bytes into the words of y, one after the other; the last word is filled up with zeros.

var<private> stream_word: u32;
var<private> stream_filled: u32; // bytes of the word
var<private> stream_at: u32;

fn stream_start(word: u32) {
    stream_word = 0u;
    stream_filled = 0u;
    stream_at = word;
}

fn stream_u8(value: u32) {
    stream_word |= value << (8u * stream_filled);
    stream_filled += 1u;
    if stream_filled == 4u {
        y[stream_at] = stream_word;
        stream_start(stream_at + 1u);
    }
}

fn stream_u16(value: u32) {
    stream_u8(value & 0xffu);
    stream_u8(value >> 8u);
}

fn stream_end() {
    if stream_filled > 0u {
        y[stream_at] = stream_word;
    }
}

// Bits of the nearest f16, ties to even; denormals as they are, beyond the range infinite.
fn stream_half(value: f32) -> u32 {
    let sign = (bitcast<u32>(value) >> 16u) & 0x8000u;
    let size = bitcast<u32>(value) & 0x7fffffffu;
    if size >= 0x47800000u {
        return sign | 0x7c00u;
    }
    if size >= 0x38800000u {
        return sign | (((size + 0xfffu + ((size >> 13u) & 1u)) >> 13u) - 0x1c000u);
    }
    let shift = 126u - (size >> 23u);
    if shift > 24u {
        return sign;
    }
    let fraction = (size & 0x7fffffu) | 0x800000u;
    let whole = fraction >> shift;
    let rest = fraction & ((1u << shift) - 1u);
    let tie = 1u << (shift - 1u);
    return sign | (whole + select(0u, 1u, rest > tie || (rest == tie && (whole & 1u) == 1u)));
}
