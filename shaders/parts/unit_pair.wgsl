// Role unit: two words are moved at once: one element of 8 bytes, or two of 4. Moved as integers, so that denormal
// numbers and the bits of NaN stay what they are. No barriers.

alias Unit = vec2<u32>;

// A unit that holds a given element in every place; of an element of 8 bytes, low and high are its words.
fn unit_fill(low: u32, high: u32) -> Unit {
    return Unit(low, high);
}
