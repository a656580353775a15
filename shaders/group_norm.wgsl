// Group normalisation (Wu & He 2018): each group of channels of an image is normalised on its own.
//
//     mean, variance over the cols cells of a row = channels / groups planes of one image
//     y[row, i] = (x[row, i] - mean) / sqrt(variance + eps) * gain[channel] + bias[channel]
//     channel = row % groups * (channels / groups) + i / plane
//
// One plane a group is instance normalisation. The part `rows` says which rows a workgroup takes, as four streams
// of quads: each lane strides over blocks, one quad of each stream, twice: once for the statistics, once to scale.
//
// Parts: elem (Elem, the activation type), xy (quads of a row), rows (blocks of four streams), reduce (group_sum4),
// moments (row_moments)

struct Params {
    rows: u32, // images * groups
    cols: u32, // channels / groups * plane
    groups: u32,
    plane: u32, // cells of a plane
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<XCell>; // [images, groups, channels / groups, plane]
@group(0) @binding(2) var<storage, read> gain: array<f32>; // [channels]
@group(0) @binding(3) var<storage, read> bias: array<f32>; // [channels]
@group(0) @binding(4) var<storage, read_write> y: array<YCell>; // like x

fn scaled(row: u32, i: u32, v: vec4<f32>) -> vec4<f32> {
    let group = min(row, params.rows - 1u) % params.groups;
    let c = min(vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.cols - 1u));
    let channel = vec4<u32>(group * (params.cols / params.plane)) + c / params.plane;
    let own_gain = vec4<f32>(gain[channel.x], gain[channel.y], gain[channel.z], gain[channel.w]);
    let own_bias = vec4<f32>(bias[channel.x], bias[channel.y], bias[channel.z], bias[channel.w]);
    return v * own_gain + own_bias;
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
    // The rows of the four streams: one row, or one each.
    let r = vec4<u32>(row) + min(vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(ROWS - 1u));
    for (var i = lane; i < blocks(); i += LANES) {
        let v = block_load(row, i);
        let q = block_quads(i);
        block_put(row, i, mat4x4<f32>(
            scaled(r.x, q.x, (v[0] - center.x) * scale.x),
            scaled(r.y, q.y, (v[1] - center.y) * scale.y),
            scaled(r.z, q.z, (v[2] - center.z) * scale.z),
            scaled(r.w, q.w, (v[3] - center.w) * scale.w),
        ));
    }
}
