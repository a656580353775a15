// Index of the largest value of every row; of equal values the lowest index.
//
// One workgroup a row. Lanes stride over the columns with (key, index) pairs, which a tree then compares.
//
// Parts: elem (Elem, the activation type), best (order_key, group_best)

struct Params {
    rows: u32,
    cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Elem>; // [rows, cols]
@group(0) @binding(2) var<storage, read_write> ids: array<u32>; // [rows]

override LANES: u32 = 64;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return;
    }
    let first = row * params.cols;
    var key = 0u;
    var index = params.cols - 1u;
    for (var i = lane; i < params.cols; i += LANES) {
        let k = order_key(f32(x[first + i]));
        if k > key {
            key = k;
            index = i;
        }
    }
    let best = group_best(key, index, lane);
    if lane == 0u {
        ids[row] = best.y;
    }
}
