// Rows of a weight as numbers, whatever its layout:
//
//     y[t, k] = w[id(t), k]
//
// The lookup of a quantized embedding table, and the definition of a layout by itself. A workgroup takes SPAN * LANES
// quads of a row, a lane every LANES-th of them. Ids are clamped. A weight too large for one binding comes in chunks of
// its rows; a dispatch writes the rows that its chunk has.
//
// Parts: elem (Elem, the type of y), weight (w_quad), ids (id_of)

struct Params {
    rows: u32,
    inner: u32,
    blocks: u32, // workgroups a row
    weight_rows: u32,
    first_col: u32, // first row of the chunk
    chunk_cols: u32, // rows of the chunk
}

@group(0) @binding(0) var<uniform> params: Params;
// ids: 1, w: 2, each in its part
@group(0) @binding(3) var<storage, read_write> y: array<Elem>; // [rows, inner]

override LANES: u32 = 64;

const SPAN: u32 = 4u;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.x + group.y * groups.x;
    let row = block / params.blocks;
    if row >= params.rows {
        return;
    }
    let id = min(id_of(row), params.weight_rows - 1u);
    if id < params.first_col || id - params.first_col >= params.chunk_cols {
        return;
    }
    let quads = (params.inner + 3u) / 4u;
    let first = block % params.blocks * SPAN * LANES + lane;
    for (var quad = first; quad < min(quads, first + SPAN * LANES); quad += LANES) {
        let values = w_quad(quad, id - params.first_col);
        let to = row * params.inner + 4u * quad;
        for (var i = 0u; i < min(4u, params.inner - 4u * quad); i++) {
            y[to + i] = Elem(values[i]);
        }
    }
}
