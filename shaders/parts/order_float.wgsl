// Role order: f32, by their bits, so that denormal numbers and NaN count on every adapter. Units are words. No barriers.

// A number without sign that grows as the float does; both zeros have one.
fn order_key(v: u32) -> u32 {
    let size = v & 0x7fffffffu;
    return select(0x80000000u + size, 0x80000000u - size, v > size);
}

// 0 below, 1 equal, 2 above, 3 neither.
fn order(x: Unit, b: Unit) -> u32 {
    if max(x & 0x7fffffffu, b & 0x7fffffffu) > 0x7f800000u {
        return 3u;
    }
    let left = order_key(x);
    let right = order_key(b);
    return select(select(1u, 2u, left > right), 0u, left < right);
}
