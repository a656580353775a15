// Role level: a float of 8 bits or fewer. Such formats have no zero point but 0.

fn level(quotient: f32, zero: u32) -> u32 {
    return encode(bitcast<u32>(quotient));
}
