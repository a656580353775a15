// Layer normalisation (Ba, Kiros & Hinton 2016), by row:
//
//     mean = sum_j(x[row, j]) / cols,  variance = sum_j((x[row, j] - mean)^2) / cols
//     y[row, i] = (x[row, i] - mean) / sqrt(variance + eps) * gain[i] + bias[i]
//
// The part `rows` says which rows a workgroup takes, as four streams of quads: each lane strides over blocks, one
// quad of each stream, twice: once for the statistics, once to scale. Each lane keeps, by stream, the count, mean
// and squared deviations of the cells it has seen, and merges into them those of each new quad (Chan, Golub &
// LeVeque 1979). No large sums are subtracted: an offset costs no more digits than in two passes.
//
// Parts: elem (Elem, the activation type), xy (quads of a row), rows (blocks of four streams), reduce (group_sum4),
// bias (bias_quad)

struct Params {
    rows: u32,
    cols: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<XCell>; // [rows, cols]
@group(0) @binding(2) var<storage, read> gain: array<f32>; // [cols]
@group(0) @binding(4) var<storage, read_write> y: array<YCell>; // [rows, cols]

fn gain_quad(i: u32) -> vec4<f32> {
    let c = min(vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.cols - 1u));
    return vec4<f32>(gain[c.x], gain[c.y], gain[c.z], gain[c.w]);
}

// Of each stream, the sum of `v` weighted by `w`.
fn block_sum(v: mat4x4<f32>, w: mat4x4<f32>) -> vec4<f32> {
    return vec4<f32>(dot(v[0], w[0]), dot(v[1], w[1]), dot(v[2], w[2]), dot(v[3], w[3]));
}

// Of each stream, the weighted squared deviations of `v` from `mean`.
fn block_deviation(v: mat4x4<f32>, w: mat4x4<f32>, mean: vec4<f32>) -> vec4<f32> {
    let d = mat4x4<f32>(v[0] - mean.x, v[1] - mean.y, v[2] - mean.z, v[3] - mean.w);
    return block_sum(mat4x4<f32>(d[0] * d[0], d[1] * d[1], d[2] * d[2], d[3] * d[3]), w);
}

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
    let start = block_starts(row);
    var count = vec4<f32>(0.0);
    var mean = vec4<f32>(0.0);
    var squares = vec4<f32>(0.0);
    for (var i = lane; i < blocks(); i += LANES) {
        let v = block_load(start, i);
        let w = block_weight(start, i);
        let more = vec4<f32>(1.0) * w;
        let block_mean = block_sum(v, w) / max(more, vec4<f32>(1.0));
        let step = block_mean - mean;
        let share = more / max(count + more, vec4<f32>(1.0));
        mean += step * share;
        squares += block_deviation(v, w, block_mean) + step * step * (count * share);
        count += more;
    }
    let cols = f32(params.cols);
    let center = merge_sum(group_sum4(count * mean, lane)) / cols;
    let apart = mean - center;
    let variance = merge_sum(group_sum4(squares + count * apart * apart, lane)) / cols;
    let scale = inverseSqrt(variance + params.eps);
    for (var i = lane; i < blocks(); i += LANES) {
        let v = block_load(start, i);
        let q = block_quads(i);
        block_put(start, i, mat4x4<f32>(
            finish((v[0] - center.x) * scale.x, q.x),
            finish((v[1] - center.y) * scale.y, q.y),
            finish((v[2] - center.z) * scale.z, q.z),
            finish((v[3] - center.w) * scale.w, q.w),
        ));
    }
}
