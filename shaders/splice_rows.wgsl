// Rows picked from one or two sources, with a row of a table added where asked:
//
//     y[t] = source(index[t]) (+ extra[extra_index[t]])
//
// Splices image rows into a token sequence, drops rows, sets a class token before patches, adds position rows.
//
// One lane an element. Indices are clamped.
//
// Parts: elem (Elem, the activation type), pick (pick, an element of the sources as f32),
//        extra (extra_at, what is added)

struct Params {
    total: u32, // tokens * cols
    cols: u32,
    a_rows: u32,
    b_rows: u32,
    extra_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> index: array<u32>; // [tokens]
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
    let token = i / params.cols;
    let col = i % params.cols;
    y[i] = Elem(pick(index[token], col) + extra_at(token, col));
}
