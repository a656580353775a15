// Token embedding: y[t, c] = table[ids[t], c]. Ids beyond the vocabulary take its last row.
//
// The table is a weight in panels: the quad (c / 4, id) lies at (c / 4) * rows + id. It may be cut into chunks
// of rows; a dispatch writes the tokens whose id lies in its chunk, so every output row is written once.
//
// A workgroup takes SPAN * LANES quads of a row, a lane every LANES-th of them.
//
// Parts: elem (Elem, the activation type), table (table_quad, a quad of the chunk as f32)

struct Params {
    tokens: u32,
    cols: u32,
    blocks: u32, // workgroups a row
    vocab: u32,
    first_row: u32, // of the chunk
    rows: u32, // of the chunk
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>; // [tokens]
@group(0) @binding(2) var<storage, read_write> y: array<Elem>; // [tokens, cols]

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
    let id = min(ids[token], params.vocab - 1u);
    if id < params.first_row || id - params.first_row >= params.rows {
        return;
    }
    let quads = (params.cols + 3u) / 4u;
    for (var quad = first; quad < min(quads, first + SPAN * LANES); quad += LANES) {
        let values = table_quad(quad * params.rows + id - params.first_row);
        let col = 4u * quad;
        let to = token * params.cols + col;
        for (var j = 0u; j < min(4u, params.cols - col); j++) {
            y[to + j] = Elem(values[j]);
        }
    }
}
