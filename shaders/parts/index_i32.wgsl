// Role index: numbers of 32 bits, signed. Binds index. No barriers.

@group(1) @binding(0) var<storage, read> index: array<i32>; // [tuples, depth]

// Number i as a place on an axis of `extent` places: negative ones count from its end, others are clamped.
fn coordinate(i: u32, extent: u32) -> u32 {
    let n = i32(extent);
    let c = max(index[i], -n);
    return u32(clamp(select(c, c + n, c < 0), 0, n - 1));
}
