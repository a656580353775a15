// Writes new keys or values into their rows of a cache:
//
//     cache[slots[t], c] = x[t, x_offset + c]
//
// A slot beyond the cache is skipped: padding rows carry u32 max. Slots that are not skipped are distinct.
//
// One lane an element.
//
// Parts: elem (Elem, the activation type)

struct Params {
    total: u32, // tokens * cols
    cols: u32,
    x_cols: u32,
    x_offset: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Elem>; // [tokens, x_cols]
@group(0) @binding(2) var<storage, read> slots: array<u32>; // [tokens]
@group(0) @binding(3) var<storage, read_write> cache: array<Elem>; // [rows, cols], updated in place

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
    let slot = slots[token];
    if slot >= params.rows {
        return;
    }
    cache[slot * params.cols + col] = x[token * params.x_cols + params.x_offset + col];
}
