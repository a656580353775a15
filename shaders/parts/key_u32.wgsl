// Role key: unsigned integers of one word.

alias Item = u32;

fn item_key(item: Item) -> vec2<u32> {
    return vec2<u32>(item, 0u);
}
