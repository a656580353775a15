// Writes new keys or values into their rows of a cache:
//
//     cache[slots[t], c] = x[t, x_offset + c]
//
// A slot beyond the cache is skipped: padding rows carry u32 max. Slots that are not skipped are distinct.
//
// A workgroup takes SPAN * LANES columns of a row, a lane every LANES-th of them.
//
// Columns are counted in cells: elements, or quads where every extent is whole quads.
//
// Parts: elem (the activation type), cell (Cell)

struct Params {
    tokens: u32,
    cols: u32,
    blocks: u32, // workgroups a row
    x_cols: u32,
    x_offset: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Cell>; // [tokens, x_cols]
@group(0) @binding(2) var<storage, read> slots: array<u32>; // [tokens]
@group(0) @binding(3) var<storage, read_write> cache: array<Cell>; // [rows, cols], updated in place

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
    let slot = slots[token];
    if slot >= params.rows {
        return;
    }
    let from_row = token * params.x_cols + params.x_offset;
    let to_row = slot * params.cols;
    for (var col = first; col < min(params.cols, first + SPAN * LANES); col += LANES) {
        cache[to_row + col] = x[from_row + col];
    }
}
