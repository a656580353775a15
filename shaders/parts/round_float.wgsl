// Role round: a finite f32 of no sign to R_MANTISSA bits of fraction, ties to even. Below R_LEAST, the smallest normal
// number, to whole multiples of 1 / R_SCALE.

override R_MANTISSA: u32 = 10u;
override R_LEAST: f32 = 0.0;
override R_SCALE: f32 = 1.0;

fn round_float(value: f32) -> f32 {
    if value < R_LEAST {
        return round(value * R_SCALE) / R_SCALE;
    }
    let shift = 23u - R_MANTISSA;
    let bits = bitcast<u32>(value);
    let half = (1u << (shift - 1u)) - 1u + extractBits(bits, shift, 1u);
    return bitcast<f32>(((bits + half) >> shift) << shift);
}
