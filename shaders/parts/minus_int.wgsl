// Role minus: the difference of two integers of 31 bits at most, rounded once.

fn difference(code: u32, zero: u32) -> f32 {
    return f32(i32(code - zero));
}
