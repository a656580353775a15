// Role order: whole numbers of 32 bits, signed or not by the override SIGNED. Units are words. No barriers.

override SIGNED: bool = true;

// 0 below, 1 equal, 2 above.
fn order(x: Unit, b: Unit) -> u32 {
    let flip = select(0u, 0x80000000u, SIGNED);
    return select(select(1u, 2u, (x ^ flip) > (b ^ flip)), 0u, (x ^ flip) < (b ^ flip));
}
