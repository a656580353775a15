// Matrix products of many pairs, or of operands in any order of their axes:
//
//     y[b, row, n] = alpha * sum_k x[b, row, k] * w[b, n, k] + beta * residual[b, row, n]
//
// Each operand is read through strides, of which those of the four batch axes, of rows and of columns may be 0: the
// operand is broadcast. So a transposed operand needs no copy. y is row-major.
//
// One workgroup computes a tile of TILE_ROWS x TILE_COLS outputs of one pair; how is the role tile. The sum is in f32,
// in order of k.
//
// Parts: elem (Elem), x (x_quad), weight (w_quad), residual (residual_quad), tile (TILE_ROWS, TILE_COLS, LANES,
// tile_product)

struct Params {
    rows: u32,
    cols: u32,
    inner: u32,
    chunk_cols: u32, // = cols; w is in one piece
    batches: u32,
    e1: u32, // extents of the batch axes but the first
    e2: u32,
    e3: u32,
    x0: u32, // strides of x along the batch axes
    x1: u32,
    x2: u32,
    x3: u32,
    x_row: u32,
    x_k: u32,
    w0: u32,
    w1: u32,
    w2: u32,
    w3: u32,
    w_col: u32,
    w_k: u32,
    r0: u32,
    r1: u32,
    r2: u32,
    r3: u32,
    r_row: u32,
    r_col: u32,
    alpha: f32,
    beta: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
// x: 1, w: 2, residual: 4, each in its part
@group(0) @binding(5) var<storage, read_write> y: array<Elem>; // [batches, rows, cols]

// First elements of the workgroup's pair.
var<private> x_first: u32;
var<private> w_first: u32;
var<private> r_first: u32;
var<private> y_first: u32;

// Stores four columns of a row, but none beyond the end.
fn finish(row: u32, col: u32, sums: vec4<f32>) {
    if row < params.rows && col < params.cols {
        let values = params.alpha * sums + params.beta * residual_quad(row, col);
        for (var c = 0u; c < min(4u, params.cols - col); c++) {
            y[y_first + row * params.cols + col + c] = Elem(values[c]);
        }
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group.x + group.y * groups.x;
    let row_tiles = (params.rows + TILE_ROWS - 1u) / TILE_ROWS;
    let col_tiles = (params.cols + TILE_COLS - 1u) / TILE_COLS;
    let batch = index / (row_tiles * col_tiles);
    let tile = index % (row_tiles * col_tiles);
    if batch >= params.batches {
        return;
    }
    let i3 = batch % params.e3;
    let i2 = batch / params.e3 % params.e2;
    let i1 = batch / params.e3 / params.e2 % params.e1;
    let i0 = batch / params.e3 / params.e2 / params.e1;
    x_first = i0 * params.x0 + i1 * params.x1 + i2 * params.x2 + i3 * params.x3;
    w_first = i0 * params.w0 + i1 * params.w1 + i2 * params.w2 + i3 * params.w3;
    r_first = i0 * params.r0 + i1 * params.r1 + i2 * params.r2 + i3 * params.r3;
    y_first = batch * params.rows * params.cols;
    tile_product(tile % row_tiles * TILE_ROWS, tile / row_tiles * TILE_COLS, lane);
}
