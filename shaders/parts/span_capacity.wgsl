// Role span: an expert writes all places of its capacity, also those without a token.

override CAPACITY: u32 = 1u;

fn span_rows(filled: u32) -> u32 {
    return CAPACITY;
}
