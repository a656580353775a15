// Role extreme: the value of the largest size among neighbours of x, with its sign; the first of equals.

fn extreme(first: u32, count: u32) -> f32 {
    var most = 0.0;
    for (var i = 0u; i < count; i++) {
        if abs(x[first + i]) > abs(most) {
            most = x[first + i];
        }
    }
    return most;
}

// The nearest multiple of `unit`, counted from `low` to `high`.
fn extreme_multiple(value: f32, unit: f32, low: f32, high: f32) -> i32 {
    return select(0, i32(floor(clamp(value / unit + 0.5, low, high))), unit != 0.0);
}
