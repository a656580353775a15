// Convolution over up to three axes, as a matrix product without an im2col copy:
//
//     y[b, n, p] = act(sum over (c, k) of x[b, g C + c, cell(p, k)] * w[n, c, k] + bias[n])
//
// The role window says which cell of x meets tap k at place p, by axis (z, y, x): p stride + k dilation - pad, or what
// the transposed convolution has; outside x is 0. Output channels come in groups of group_cols; those of group g read
// the C channels of x from g C on. One workgroup computes a tile, as in matmul: rows are (b, p), columns channels of
// one group, and x_quad reads four neighbouring (c, k) of a row from x.
//
// Parts: elem, window (window_corner, window_cell), weight (w_quad), bias (bias_quad), act (act4),
// tile (TILE_ROWS, TILE_COLS, LANES, tile_product)

struct Params {
    rows: u32, // images * places of y
    cols: u32,
    inner: u32, // C * cells of the window
    first_col: u32,
    chunk_cols: u32,
    group_cols: u32,
    groups: u32,
    x_z: u32, // extents of x
    x_y: u32,
    x_x: u32,
    y_z: u32, // extents of y
    y_y: u32,
    y_x: u32,
    stride_z: u32,
    stride_y: u32,
    stride_x: u32,
    dilation_z: u32,
    dilation_y: u32,
    dilation_x: u32,
    pad_z: u32,
    pad_y: u32,
    pad_x: u32,
}

override WINDOW_Z: u32 = 1u;
override WINDOW_Y: u32 = 1u;
override WINDOW_X: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Elem>; // [images, groups * C, x_z, x_y, x_x]
@group(0) @binding(5) var<storage, read_write> y: array<Elem>; // [images, cols, y_z, y_y, y_x]
// w: 2, bias: 3, each in its part

// Group of the tile that a workgroup computes.
var<private> tile_group: u32;

// `plane` is the first one of the row's channels.
fn x_cell(plane: u32, corner: vec3<u32>, k: u32) -> f32 {
    let i = min(k, params.inner - 1u);
    let tap = vec3<u32>(i / (WINDOW_Y * WINDOW_X) % WINDOW_Z, i / WINDOW_X % WINDOW_Y, i % WINDOW_X);
    let at = window_cell(corner, tap);
    let channel = plane + i / (WINDOW_Z * WINDOW_Y * WINDOW_X);
    let inside = k < params.inner && all(at < vec3<u32>(params.x_z, params.x_y, params.x_x));
    let place = ((channel * params.x_z + at.x) * params.x_y + at.y) * params.x_x + at.z;
    return select(0.0, f32(x[select(0u, place, inside)]), inside);
}

fn x_quad(row: u32, quad: u32) -> vec4<f32> {
    let line = row / params.y_x;
    let layer = line / params.y_y;
    let corner = window_corner(vec3<u32>(layer % params.y_z, line % params.y_y, row % params.y_x));
    let channels = params.inner / (WINDOW_Z * WINDOW_Y * WINDOW_X);
    let plane = (layer / params.y_z * params.groups + tile_group) * channels;
    let k = 4u * quad;
    return vec4<f32>(
        x_cell(plane, corner, k),
        x_cell(plane, corner, k + 1u),
        x_cell(plane, corner, k + 2u),
        x_cell(plane, corner, k + 3u),
    );
}

// Epilogue and store of four channels at a place.
fn finish(row: u32, col: u32, sums: vec4<f32>) {
    let end = (tile_group + 1u) * params.group_cols;
    if row >= params.rows || col >= end {
        return;
    }
    let values = act4(sums + bias_quad(col));
    let places = params.y_z * params.y_y * params.y_x;
    let first = (row / places * params.cols + col) * places + row % places;
    y[first] = Elem(values.x);
    if col + 1u < end {
        y[first + places] = Elem(values.y);
    }
    if col + 2u < end {
        y[first + 2u * places] = Elem(values.z);
    }
    if col + 3u < end {
        y[first + 3u * places] = Elem(values.w);
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
    let col_tiles = (params.group_cols + TILE_COLS - 1u) / TILE_COLS;
    if tile >= row_tiles * col_tiles * params.groups {
        return;
    }
    tile_group = tile / (row_tiles * col_tiles);
    let col = tile_group * params.group_cols + tile / row_tiles % col_tiles * TILE_COLS;
    tile_product(tile % row_tiles * TILE_ROWS, col, lane);
}
