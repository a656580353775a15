// Matrix product for few rows (a decode step), with the epilogue of matmul:
//
//     y[row, n] = act(sum_k x[row, k] * w[n, k] + bias[n]) + residual[row, n],    rows <= TILE_ROWS
//
// Bound by memory: every weight is read once, by one workgroup, for all rows. One workgroup computes
// TILE_COLS columns; how is the role tile. Sums in f32. A weight too large for one binding comes in chunks of
// its rows: columns first_col .. first_col + chunk_cols of y.
//
// Parts: elem, x (x_quad), weight (w_quad), bias (bias_quad), act (act4), residual (residual_quad),
// io (y, y_quad), tile (TILE_ROWS, TILE_COLS, LANES, tile_product)

struct Params {
    rows: u32,
    cols: u32,
    inner: u32,
    first_col: u32,
    chunk_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// x: 1, w: 2, bias: 3, residual: 4, y: 5, each in its part

// Epilogue and store of four columns of a row; `col` counts within the chunk.
fn finish(row: u32, col: u32, sums: vec4<f32>) {
    if row < params.rows && col < params.chunk_cols {
        let n = params.first_col + col;
        y_quad(row, n, act4(sums + bias_quad(n)) + residual_quad(row, n));
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let col = (group.x + group.y * groups.x) * TILE_COLS;
    if col >= params.chunk_cols {
        return;
    }
    tile_product(0u, col, lane);
}
