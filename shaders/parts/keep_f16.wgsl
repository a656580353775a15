// Role keep: a unit of 64 cached values as f16, two a word, rounded to the nearest, ties to even.

const KEEP_WORDS = 32u;

fn keep_unit(first: u32, count: u32) {
    for (var i = 0u; i < 64u; i++) {
        stream_u16(stream_half(unit_value(first, count, i)));
    }
}
