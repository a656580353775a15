// Role key: floating-point items, by value. Both zeros have one key. Uses Elem of the role elem.

alias Item = Elem;

// Order of the keys, as unsigned numbers of two words, high word first = order of the items.
fn item_key(item: Item) -> vec2<u32> {
    let value = f32(item);
    let bits = select(bitcast<u32>(value), 0u, value == 0.0);
    return vec2<u32>(select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u), 0u);
}
