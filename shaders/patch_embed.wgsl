// Patch embedding: a convolution whose stride is its kernel size, as a matrix product without an im2col copy.
//
//     y[patch, d] = sum over (c, py, px) of pixels[b, c, gy P + py, gx P + px] * w[d, (c P + py) P + px] + bias[d]
//
// with patch = (b grid_rows + gy) grid_cols + gx and P = PATCH. Pixels beyond the last whole patch are not
// read. One workgroup computes a tile, as in matmul; the role pixels plays the part of the rows of x.
//
// Parts: elem, pixels (x_quad), weight (w_quad), bias (bias_quad), io (y, y_quad),
// tile (TILE_ROWS, TILE_COLS, LANES, tile_product)

struct Params {
    rows: u32, // images * grid_rows * grid_cols
    cols: u32,
    inner: u32, // channels * PATCH * PATCH
    first_col: u32,
    chunk_cols: u32,
    height: u32,
    width: u32,
    grid_rows: u32,
    grid_cols: u32,
    // Normalising of 8-bit pixels: (value * rescale - mean) / std
    rescale: f32,
    mean_r: f32,
    mean_g: f32,
    mean_b: f32,
    std_r: f32,
    std_g: f32,
    std_b: f32,
}

override PATCH: u32 = 16u;

@group(0) @binding(0) var<uniform> params: Params;
// pixels: 1, w: 2, bias: 3, y: 5, each in its part

// Store of four columns of a row; `col` counts within the chunk.
fn finish(row: u32, col: u32, sums: vec4<f32>) {
    if row < params.rows && col < params.chunk_cols {
        let n = params.first_col + col;
        y_quad(row, n, sums + bias_quad(n));
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group.x + group.y * groups.x;
    let row_tiles = (params.rows + TILE_ROWS - 1u) / TILE_ROWS;
    let col_tiles = (params.chunk_cols + TILE_COLS - 1u) / TILE_COLS;
    if tile >= row_tiles * col_tiles {
        return;
    }
    tile_product(tile % row_tiles * TILE_ROWS, tile / row_tiles * TILE_COLS, lane);
}
