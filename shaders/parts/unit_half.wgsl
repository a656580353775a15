// Role unit: one element of 2 bytes is moved at once, where neighbours do not stay neighbours. No barriers.
enable f16;

alias Unit = f16;

// A unit that holds a given element; low holds it in both halves.
fn unit_fill(low: u32, high: u32) -> Unit {
    return Unit(unpack2x16float(low).x);
}
