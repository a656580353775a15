// Role index: numbers of 32 bits, unsigned. Binds index. No barriers.

@group(1) @binding(0) var<storage, read> index: array<u32>; // [tuples, depth]

// Number i as a place on an axis of `extent` places, clamped.
fn coordinate(i: u32, extent: u32) -> u32 {
    return min(index[i], extent - 1u);
}
