// Role key: unsigned integers of two words, the low word first.

alias Item = vec2<u32>;

fn item_key(item: Item) -> vec2<u32> {
    return vec2<u32>(item.y, item.x);
}
