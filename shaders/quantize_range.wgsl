// Scales and zero points of the range of each row, for quantizing it afterwards:
//
//     asymmetric   low = min(0, min x), high = max(0, max x), scale = (high - low) / LEVELS,
//                  zero = -low / scale, rounded, ties to even
//     symmetric    scale = max |x| / LEVELS, zero = 0
//
// A row of zeros has the scale 1. Quotients are corrected by their remainders, since a division may be off by 2.5 ulp.
// One workgroup a row; a tensor comes as a single row.
//
// Parts: reduce (group_max)

struct Params {
    rows: u32,
    cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, cols]
@group(0) @binding(2) var<storage, read_write> scale: array<f32>; // [rows]
@group(0) @binding(3) var<storage, read_write> zero: array<u32>; // [rows]

override LANES: u32 = 64;
override LEVELS: f32 = 255.0;
override SYMMETRIC: u32 = 0u;

const SMALLEST_NORMAL: f32 = 1.1754944e-38;

fn quotient(a: f32, b: f32) -> f32 {
    let q = a / b;
    return q + fma(-q, b, a) / b;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return;
    }
    var above = 0.0;
    var below = 0.0;
    for (var i = lane; i < params.cols; i += LANES) {
        let value = x[row * params.cols + i];
        above = max(above, value);
        below = max(below, -value);
    }
    let high = group_max(above, lane);
    let low = group_max(below, lane);
    if lane == 0u {
        let range = select(high + low, max(high, low), SYMMETRIC == 1u);
        let step = select(quotient(range, LEVELS), 1.0, range == 0.0);
        scale[row] = step;
        // A denormal scale may be flushed to 0, by which nothing can be divided.
        zero[row] = select(u32(round(quotient(low, step))), 0u, SYMMETRIC == 1u || step < SMALLEST_NORMAL);
    }
}
