// Rows picked by number, within each batch:
//
//     y[batch, k, col] = x[batch, index[batch ib + k ik + col ic], col]
//
// The strides of the index say what it depends on: rows that are picked whole (1 on k), lists of their own for every
// batch, or a number for each cell. Numbers are clamped.
//
// A lane takes STEPS neighbouring units of y.
//
// Parts: unit (Unit)

struct Params {
    items: u32,
    rows: u32, // of x in a batch
    picks: u32, // rows of y in a batch
    cols: u32, // units of a row
    ib: u32,
    ik: u32,
    ic: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Unit>; // [batches, rows, cols]
@group(0) @binding(2) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<Unit>; // [batches, picks, cols]

override LANES: u32 = 64;
override STEPS: u32 = 1;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    let end = min(first + STEPS, params.items);
    let line = first / params.cols;
    var col = first - line * params.cols;
    var batch = line / params.picks;
    var k = line - batch * params.picks;
    for (var item = first; item < end; item++) {
        let i = index[batch * params.ib + k * params.ik + col * params.ic];
        y[item] = x[(batch * params.rows + min(i, params.rows - 1u)) * params.cols + col];
        col += 1u;
        if col == params.cols {
            col = 0u;
            k += 1u;
            if k == params.picks {
                k = 0u;
                batch += 1u;
            }
        }
    }
}
