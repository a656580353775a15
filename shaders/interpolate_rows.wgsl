// Weighted sums of table rows, planned on the host (bicubic interpolation of position embeddings has 16 taps):
//
//     y[t, c] = sum_j weight[t, j] * table[index[t, j], c]
//
// A workgroup takes SPAN * LANES columns of a row, a lane every LANES-th of them. The taps are added in order, in
// f32. Indices are clamped. Columns are counted in cells: elements, or quads where the width is whole quads.
//
// Parts: elem (f32), cell (Num)

struct Params {
    tokens: u32,
    cols: u32,
    blocks: u32, // workgroups a row
    taps: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<Num>; // [rows, cols]
@group(0) @binding(2) var<storage, read> index: array<u32>; // [tokens, taps]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // [tokens, taps]
@group(0) @binding(4) var<storage, read_write> y: array<Num>; // [tokens, cols]

override LANES: u32 = 64;

const SPAN: u32 = 4u;

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
    let first = block % params.blocks * SPAN * LANES + lane;
    let taps = token * params.taps;
    for (var col = first; col < min(params.cols, first + SPAN * LANES); col += LANES) {
        var sum = Num(0.0);
        for (var j = taps; j < taps + params.taps; j++) {
            sum += weight[j] * table[min(index[j], params.rows - 1u) * params.cols + col];
        }
        y[token * params.cols + col] = sum;
    }
}
