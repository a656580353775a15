// Convolution over up to three axes with groups too narrow for tiles; depthwise is the narrowest:
//
//     y[b, n, p] = act(sum over (c, k) of x[b, g C + c, cell(p, k)] * w[n, c, k] + bias[n]),  g = n / group_cols
//
// The role window says which cell of x meets tap k at place p, by axis (z, y, x); outside x is 0. A lane computes eight
// neighbouring places of a line of y, line by line of the window as the role line does it.
//
// Parts: elem, bias (bias_at), act (act4), window (window_corner, window_cell), line (line_sums)

struct Params {
    items: u32, // lines of y * ceil(y_x / 8)
    cols: u32, // channels of y
    group_cols: u32,
    groups: u32,
    channels: u32, // C
    x_z: u32, // extents of x
    x_y: u32,
    x_x: u32,
    y_z: u32, // extents of y
    y_y: u32,
    y_x: u32,
    window_z: u32,
    window_y: u32,
    window_x: u32,
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

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Elem>; // [images, groups * C, x_z, x_y, x_x]
@group(0) @binding(2) var<storage, read> w: array<f32>; // [cols, C, window_z, window_y, window_x]
@group(0) @binding(5) var<storage, read_write> y: array<Elem>; // [images, cols, y_z, y_y, y_x]
// bias: 3, in its part

override LANES: u32 = 64;

// Four neighbouring cells of a line of y, as many as there are.
fn put(line: u32, col: u32, sums: vec4<f32>) {
    let values = act4(sums);
    for (var i = 0u; i < 4u && col + i < params.y_x; i++) {
        y[line * params.y_x + col + i] = Elem(values[i]);
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = (group.x + group.y * groups.x) * LANES + lane;
    if item >= params.items {
        return;
    }
    let spans = (params.y_x + 7u) / 8u;
    let col = 8u * (item % spans);
    let line = item / spans;
    let layer = line / params.y_y;
    let plane = layer / params.y_z;
    let n = plane % params.cols;
    let corner = window_corner(vec3<u32>(layer % params.y_z, line % params.y_y, col));

    let channel = (plane / params.cols * params.groups + n / params.group_cols) * params.channels;
    var sums = mat2x4<f32>();
    var taps = n * params.channels * params.window_z * params.window_y * params.window_x;
    for (var c = 0u; c < params.channels; c++) {
        var channel_sums = mat2x4<f32>();
        for (var kz = 0u; kz < params.window_z; kz++) {
            for (var ky = 0u; ky < params.window_y; ky++) {
                let cell = window_cell(corner, vec3<u32>(kz, ky, 0u));
                if cell.x < params.x_z && cell.y < params.x_y {
                    let start = (((channel + c) * params.x_z + cell.x) * params.x_y + cell.y) * params.x_x;
                    channel_sums += line_sums(start, corner, taps);
                }
                taps += params.window_x;
            }
        }
        sums += channel_sums;
    }
    put(line, col, sums[0] + bias_at(n));
    put(line, col + 4u, sums[1] + bias_at(n));
}
