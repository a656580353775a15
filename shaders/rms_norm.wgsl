// Root-mean-square normalisation, by row:
//
//     y[row, i] = x[row, i] / sqrt(mean_j(x[row, j]^2) + eps) * gain[i]
//
// One workgroup a row. Lanes stride over the columns twice: once to sum squares in f32, once to scale.
//
// Parts: elem (Elem, the activation type), reduce (group_sum)

struct Params {
    rows: u32,
    cols: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Elem>; // [rows, cols]
@group(0) @binding(2) var<storage, read> gain: array<f32>; // [cols]
@group(0) @binding(3) var<storage, read_write> y: array<Elem>; // [rows, cols]

override LANES: u32 = 64;

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
    let first = row * params.cols;
    var squares = 0.0;
    for (var i = lane; i < params.cols; i += LANES) {
        let v = f32(x[first + i]);
        squares += v * v;
    }
    let mean = group_sum(squares, lane) / f32(params.cols);
    let scale = inverseSqrt(mean + params.eps);
    for (var i = lane; i < params.cols; i += LANES) {
        y[first + i] = Elem(f32(x[first + i]) * scale * gain[i]);
    }
}
