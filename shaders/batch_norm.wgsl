// Batch normalisation with given statistics (Ioffe & Szegedy 2015), by channel:
//
//     y[row, i] = (x[row, i] - mean[c]) / sqrt(variance[c] + eps) * gain[c] + bias[c],  c = row % channels
//
// Each row is cut into spans of LANES * STEPS quads, a workgroup a span; neighbouring lanes take neighbouring quads.
//
// Parts: elem (Elem, the activation type), xy (quads of a row)

struct Params {
    rows: u32, // images * channels
    cols: u32, // cells of a plane
    channels: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<XCell>; // [images, channels, plane]
@group(0) @binding(2) var<storage, read> gain: array<f32>; // [channels]
@group(0) @binding(3) var<storage, read> bias: array<f32>; // [channels]
@group(0) @binding(4) var<storage, read> mean: array<f32>; // [channels]
@group(0) @binding(5) var<storage, read> variance: array<f32>; // [channels]
@group(0) @binding(6) var<storage, read_write> y: array<YCell>; // like x

override LANES: u32 = 64;
override STEPS: u32 = 4;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let span = group.x + group.y * groups.x;
    let spans = (quads() + LANES * STEPS - 1u) / (LANES * STEPS);
    let row = span / spans;
    if row >= params.rows {
        return;
    }
    let channel = row % params.channels;
    let center = mean[channel];
    let scale = inverseSqrt(variance[channel] + params.eps) * gain[channel];
    let first = (span % spans) * LANES * STEPS;
    let end = min(first + LANES * STEPS, quads());
    for (var i = first + lane; i < end; i += LANES) {
        y_put(row, i, (x_quad(row, i) - center) * scale + bias[channel]);
    }
}
