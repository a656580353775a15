// Role index: numbers of 64 bits, signed, as pairs of words. Binds index. No barriers.

@group(1) @binding(0) var<storage, read> index: array<vec2<u32>>; // [tuples, depth], low and high word

// Number i as a place on an axis of `extent` places: negative ones count from its end, others are clamped.
fn coordinate(i: u32, extent: u32) -> u32 {
    let c = index[i];
    if c.y == 0xffffffffu && c.x >= 0u - extent {
        return c.x + extent;
    }
    if c.y >= 0x80000000u {
        return 0u;
    }
    return select(min(c.x, extent - 1u), extent - 1u, c.y > 0u);
}
