// Two tensors side by side along an axis: row by row, the cells of a, then those of b. A row runs from that axis on.
//
// A lane takes STEPS neighbouring units of y.
//
// Parts: unit (Unit)

struct Params {
    items: u32,
    a_cols: u32, // units of a row
    b_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<Unit>; // [rows, a_cols]
@group(0) @binding(2) var<storage, read> b: array<Unit>; // [rows, b_cols]
@group(0) @binding(3) var<storage, read_write> y: array<Unit>; // [rows, a_cols + b_cols]

override LANES: u32 = 64;
override STEPS: u32 = 1;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let cols = params.a_cols + params.b_cols;
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    let end = min(first + STEPS, params.items);
    var row = first / cols;
    var col = first - row * cols;
    for (var item = first; item < end; item++) {
        if col < params.a_cols {
            y[item] = a[row * params.a_cols + col];
        } else {
            y[item] = b[row * params.b_cols + col - params.a_cols];
        }
        col += 1u;
        if col == cols {
            col = 0u;
            row += 1u;
        }
    }
}
