// Role order: whole numbers of 64 bits as two words, the low one first; signed or not by the override SIGNED. Units
// are pairs. No barriers.

override SIGNED: bool = true;

// 0 below, 1 equal, 2 above.
fn order(x: Unit, b: Unit) -> u32 {
    let flip = select(0u, 0x80000000u, SIGNED);
    let high = select(select(1u, 2u, (x.y ^ flip) > (b.y ^ flip)), 0u, (x.y ^ flip) < (b.y ^ flip));
    let low = select(select(1u, 2u, x.x > b.x), 0u, x.x < b.x);
    return select(high, low, x.y == b.y);
}
