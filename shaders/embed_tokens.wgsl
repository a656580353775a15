// Token embedding: y[t, c] = table[ids[t], c]. Ids beyond the vocabulary take its last row.
//
// The table is a weight in panels: the quad (c / 4, id) lies at (c / 4) * rows + id. It may be cut into chunks
// of rows; a dispatch writes the tokens whose id lies in its chunk, so every output row is written once.
//
// One lane a quad of columns of one token.
//
// Parts: elem (Elem, the activation type), table (table_quad, a quad of the chunk as f32)

struct Params {
    total: u32, // tokens * quads
    quads: u32, // ceil(cols / 4)
    cols: u32,
    vocab: u32,
    first_row: u32, // of the chunk
    rows: u32, // of the chunk
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>; // [tokens]
@group(0) @binding(2) var<storage, read_write> y: array<Elem>; // [tokens, cols]

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
    let token = i / params.quads;
    let quad = i % params.quads;
    let id = min(ids[token], params.vocab - 1u);
    if id < params.first_row || id - params.first_row >= params.rows {
        return;
    }
    let values = table_quad(quad * params.rows + id - params.first_row);
    let col = 4u * quad;
    let to = token * params.cols + col;
    for (var j = 0u; j < min(4u, params.cols - col); j++) {
        y[to + j] = Elem(values[j]);
    }
}
