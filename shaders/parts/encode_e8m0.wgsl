// Role encode: a power of two, 2^(code - 127), at least as large as a positive number (E_MODE 0), at most as large (1), or
// the nearest one (2, the upper of two as near). Beyond the range the last power; NaN and negative numbers are 255.

override E_MODE: u32 = 0u;

fn encode(bits: u32) -> u32 {
    if bits > 0x7f800000u {
        return select(255u, 0u, bits == 0x80000000u);
    }
    let exponent = min(bits >> 23u, 254u);
    let fraction = bits & 0x7fffffu;
    if bits >= 0x7f000000u {
        return 254u;
    }
    if exponent == 0u {
        // Subnormal: 2^-127 is half the smallest normal number.
        let up = select(fraction > 0x400000u, fraction >= 0x600000u, E_MODE == 2u);
        return select(0u, 1u, up && E_MODE != 1u);
    }
    let up = select(fraction > 0u, fraction >= 0x400000u, E_MODE == 2u);
    return exponent + select(0u, 1u, up && E_MODE != 1u);
}
