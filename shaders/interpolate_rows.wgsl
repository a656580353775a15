// Weighted sums of table rows, planned on the host (bicubic interpolation of position embeddings has 16 taps):
//
//     y[t, c] = sum_j weight[t, j] * table[index[t, j], c]
//
// One lane an element; the taps are added in order, in f32. Indices are clamped.
//
// Parts: none

struct Params {
    total: u32, // tokens * cols
    cols: u32,
    taps: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>; // [rows, cols]
@group(0) @binding(2) var<storage, read> index: array<u32>; // [tokens, taps]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // [tokens, taps]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [tokens, cols]

override LANES: u32 = 64;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.x + group.y * groups.x) * LANES + lane;
    if i >= params.total {
        return;
    }
    let col = i % params.cols;
    let first = i / params.cols * params.taps;
    var sum = 0.0;
    for (var j = first; j < first + params.taps; j++) {
        sum += weight[j] * table[min(index[j], params.rows - 1u) * params.cols + col];
    }
    y[i] = sum;
}
