// Role decode: f32 bits of a float of D_BITS bits, exactly: sign, exponent of bias D_BIAS, D_MANTISSA bits of fraction.
// D_NAN says what is no number: 0 all ones but the sign (e4m3fn), 1 the highest exponent as in IEEE 754 (e5m2), 2 the
// negative zero (the fnuz formats), 3 nothing (e2m1).

override D_BITS: u32 = 8u;
override D_MANTISSA: u32 = 3u;
override D_BIAS: u32 = 7u;
override D_NAN: u32 = 0u;

fn decode(word: u32) -> u32 {
    let sign = extractBits(word, D_BITS - 1u, 1u) << 31u;
    let magnitude = extractBits(word, 0u, D_BITS - 1u);
    let fraction = extractBits(magnitude, 0u, D_MANTISSA);
    let ones = (1u << (D_BITS - 1u)) - 1u;
    if D_NAN == 0u && magnitude == ones {
        return sign | 0x7fc00000u;
    }
    if D_NAN == 1u && magnitude >> D_MANTISSA == ones >> D_MANTISSA {
        return sign | select(0x7fc00000u, 0x7f800000u, fraction == 0u);
    }
    if D_NAN == 2u && magnitude == 0u && sign != 0u {
        return 0x7fc00000u;
    }
    if magnitude >> D_MANTISSA == 0u {
        // Subnormal: the fraction times 2^(1 - bias - mantissa bits).
        let least = bitcast<f32>((128u - D_BIAS - D_MANTISSA) << 23u);
        return sign | bitcast<u32>(f32(fraction) * least);
    }
    return sign | ((magnitude << (23u - D_MANTISSA)) + ((127u - D_BIAS) << 23u));
}
