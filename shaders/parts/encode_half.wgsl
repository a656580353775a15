// Role encode: f32 bits rounded to what a float of 16 bits holds, above R_MAX to infinity. The payload of a NaN stays.

override R_MAX: f32 = 65504.0;

fn encode(bits: u32) -> u32 {
    let sign = bits & 0x80000000u;
    let magnitude = bits & 0x7fffffffu;
    if magnitude >= 0x7f800000u {
        return bits;
    }
    let rounded = round_float(bitcast<f32>(magnitude));
    return sign | select(bitcast<u32>(rounded), 0x7f800000u, rounded > R_MAX);
}
