// Role key: signed integers of one word.

alias Item = i32;

fn item_key(item: Item) -> vec2<u32> {
    return vec2<u32>(bitcast<u32>(item) ^ 0x80000000u, 0u);
}
