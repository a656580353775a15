// Role level: an integer. The quotient is rounded, ties to even, the zero point added, the sum held between LOW and HIGH.

override LOW: i32 = -128i;
override HIGH: i32 = 127i;

fn level(quotient: f32, zero: u32) -> u32 {
    // Within what i32 holds with any zero point of 16 bits; infinities saturate.
    let rounded = i32(clamp(round(quotient), -1e9, 1e9));
    return u32(clamp(rounded + i32(zero), LOW, HIGH));
}
