// Root-mean-square normalisation (Zhang & Sennrich 2019), by row:
//
//     y[row, i] = x[row, i] / sqrt(mean_j(x[row, j]^2) + eps) * gain[i]
//
// The part `rows` says which rows a workgroup takes, as four streams of quads: each lane strides over blocks, one
// quad of each stream, twice: once to sum squares in f32, once to scale.
//
// Parts: elem (Elem, the activation type), xy (quads of a row), rows (blocks of four streams), reduce (group_sum4),
// gain (gain_quad)

struct Params {
    rows: u32,
    cols: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<XCell>; // [rows, cols]
// gain: 2, in its part
@group(0) @binding(3) var<storage, read_write> y: array<YCell>; // [rows, cols]

// Of each stream, the sum of the squares of a block.
fn block_squares(v: mat4x4<f32>, w: mat4x4<f32>) -> vec4<f32> {
    return vec4<f32>(dot(v[0] * v[0], w[0]), dot(v[1] * v[1], w[1]), dot(v[2] * v[2], w[2]), dot(v[3] * v[3], w[3]));
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
    var squares = vec4<f32>(0.0);
    for (var i = lane; i < blocks(); i += LANES) {
        squares += block_squares(block_load(row, i), block_weight(row, i));
    }
    let mean = merge_sum(group_sum4(squares, lane)) / f32(params.cols);
    let scale = inverseSqrt(mean + params.eps);
    for (var i = lane; i < blocks(); i += LANES) {
        let v = block_load(row, i);
        let q = block_quads(i);
        block_put(row, i, mat4x4<f32>(
            v[0] * scale.x * gain_quad(q.x),
            v[1] * scale.y * gain_quad(q.y),
            v[2] * scale.z * gain_quad(q.z),
            v[3] * scale.w * gain_quad(q.w),
        ));
    }
}
