// Rows combined into the rows of a tensor by number, in place, within each batch:
//
//     for k in 0 .. picks, in this order:
//         row = index[batch ib + k ik + col ic]
//         y[batch, row, col] = fold(y[batch, row, col], x[batch, k, col])
//
// where fold gives the new cell, the sum, the product, the larger or the smaller. A number beyond the rows is skipped.
//
// A lane owns a column of a batch and takes its cells one after the other, so that any number may occur several
// times and every run adds in the same order. It pays off from some hundred columns on.
//
// Parts: fold (fold, by the override OP), with elem and cell (Cell), or int (whole numbers)

struct Params {
    lines: u32, // batches * cols
    rows: u32, // of y in a batch
    picks: u32, // rows of x in a batch
    cols: u32, // cells of a row
    ib: u32,
    ik: u32,
    ic: u32,
    pair: u32, // 1 where two columns, the words of a number of 64 bits, share an index
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Cell>; // [batches, picks, cols]
@group(0) @binding(2) var<storage, read> index: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<Cell>; // [batches, rows, cols]

override LANES: u32 = 64;
override OP: u32 = 0;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let line = (group.x + group.y * groups.x) * LANES + lane;
    if line >= params.lines {
        return;
    }
    let batch = line / params.cols;
    let col = line - batch * params.cols;
    for (var k = 0u; k < params.picks; k++) {
        let row = index[batch * params.ib + k * params.ik + (col >> params.pair) * params.ic];
        if row < params.rows {
            let at = (batch * params.rows + row) * params.cols + col;
            y[at] = fold(y[at], x[(batch * params.picks + k) * params.cols + col]);
        }
    }
}
