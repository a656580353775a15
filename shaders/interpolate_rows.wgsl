// Weighted sums of table rows, planned on the host (bicubic interpolation of position embeddings has 16 taps):
//
//     y[t, c] = sum_j weight[t, j] * table[index[t, j], c]
//
// A workgroup takes 4 * LANES columns of a row, a lane four of them, LANES apart. The taps are added in order, in
// f32. Indices are clamped.
//
// Parts: none

struct Params {
    tokens: u32,
    cols: u32,
    blocks: u32, // workgroups a row
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
    let block = group.x + group.y * groups.x;
    let token = block / params.blocks;
    if token >= params.tokens {
        return;
    }
    let first = block % params.blocks * 4u * LANES + lane;
    let col = first + vec4<u32>(0u, 1u, 2u, 3u) * LANES;
    let safe = min(col, vec4<u32>(params.cols - 1u));
    var sum = vec4<f32>(0.0);
    for (var j = token * params.taps; j < (token + 1u) * params.taps; j++) {
        let at = min(index[j], params.rows - 1u) * params.cols + safe;
        sum += weight[j] * vec4<f32>(table[at.x], table[at.y], table[at.z], table[at.w]);
    }
    for (var k = 0u; k < 4u; k++) {
        if col[k] < params.cols {
            y[token * params.cols + col[k]] = sum[k];
        }
    }
}
