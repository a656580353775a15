// Rows picked from one or two sources, with a row of a table added where asked:
//
//     y[t] = source(index[t]) (+ extra[extra_index[t]])
//
// Splices image rows into a token sequence, drops rows, sets a class token before patches, adds position rows.
//
// A workgroup takes SPAN * LANES columns of a row, a lane every LANES-th of them. Indices are clamped.
//
// Columns are counted in cells: elements, or quads where every extent is whole quads.
//
// Parts: elem (the activation type), cell (Cell, Num), pick (pick, a cell of the sources),
//        extra (extra_at, what is added)

struct Params {
    tokens: u32,
    cols: u32,
    blocks: u32, // workgroups a row
    a_rows: u32,
    b_rows: u32,
    extra_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<u32>; // [tokens]
@group(0) @binding(2) var<storage, read_write> y: array<Cell>; // [tokens, cols]

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
    let i = index[token];
    for (var col = first; col < min(params.cols, first + SPAN * LANES); col += LANES) {
        y[token * params.cols + col] = Cell(pick(i, col) + extra_at(token, col));
    }
}
