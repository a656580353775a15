// Role encode: a float of 8 bits or fewer, rounded, ties to even: sign E_SIGN, exponent of bias E_BIAS, R_MANTISSA bits of
// fraction. What is above R_MAX once rounded becomes E_OVER, NaN becomes E_NAN; without a negative zero, 0 has no sign.

override R_MAX: f32 = 448.0;
override E_BIAS: u32 = 7u;
override E_SIGN: u32 = 128u;
override E_NAN: u32 = 127u;
override E_OVER: u32 = 126u;
override E_ZERO: u32 = 1u; // there is a negative zero

fn encode(bits: u32) -> u32 {
    let sign = (bits >> 31u) * E_SIGN;
    let magnitude = bits & 0x7fffffffu;
    if magnitude > 0x7f800000u {
        return E_NAN;
    }
    if magnitude == 0x7f800000u {
        return sign | E_OVER;
    }
    let rounded = round_float(bitcast<f32>(magnitude));
    if rounded > R_MAX {
        return sign | E_OVER;
    }
    var code = u32(rounded * R_SCALE);
    if rounded >= R_LEAST {
        code = (bitcast<u32>(rounded) - ((127u - E_BIAS) << 23u)) >> (23u - R_MANTISSA);
    }
    return select(sign, 0u, code == 0u && E_ZERO == 0u) | code;
}
