// Layer normalisation (Ba, Kiros & Hinton 2016), by row:
//
//     mean = sum_j(x[row, j]) / cols,  variance = sum_j((x[row, j] - mean)^2) / cols
//     y[row, i] = (x[row, i] - mean) / sqrt(variance + eps) * gain[i] + bias[i]
//
// The part `rows` says which rows a workgroup takes, as four streams of quads: each lane strides over blocks, one
// quad of each stream, twice: once for the statistics, once to scale.
//
// Parts: elem (Elem, the activation type), xy (quads of a row), rows (blocks of four streams), reduce (group_sum4),
// moments (row_moments), gain (gain_quad), bias (bias_quad), stats (stats_put)

struct Params {
    rows: u32,
    cols: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<XCell>; // [rows, cols]
// gain: 2, bias: 3, each in its part
@group(0) @binding(4) var<storage, read_write> y: array<YCell>; // [rows, cols]

fn finish(v: vec4<f32>, i: u32) -> vec4<f32> {
    return v * gain_quad(i) + bias_quad(4u * i);
}

override LANES: u32 = 64;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = (group.x + group.y * groups.x) * ROWS;
    if row >= params.rows {
        return;
    }
    let moments = row_moments(row, lane);
    let center = moments.mean;
    let scale = inverseSqrt(moments.variance + params.eps);
    stats_put(row, lane, center, scale);
    for (var i = lane; i < blocks(); i += LANES) {
        let v = block_load(row, i);
        let q = block_quads(i);
        block_put(row, i, mat4x4<f32>(
            finish((v[0] - center.x) * scale.x, q.x),
            finish((v[1] - center.y) * scale.y, q.y),
            finish((v[2] - center.z) * scale.z, q.z),
            finish((v[3] - center.w) * scale.w, q.w),
        ));
    }
}
