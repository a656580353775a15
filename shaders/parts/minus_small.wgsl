// Role minus: the difference of two small floats.

fn difference(code: u32, zero: u32) -> f32 {
    return bitcast<f32>(decode(code)) - bitcast<f32>(decode(zero));
}
