// Transposed convolution over up to three axes (the gradient of a convolution by its input):
//
//     y[b, n, p] = act(sum over (c, q, k) with q stride + k dilation - pad = p of x[b, g C + c, q] * w[g C + c, m, k] + bias[n])
//
// with places p, q, k and the attributes by axis (z, y, x), g = n / group_cols and m = n % group_cols. A lane computes
// one cell of y: for each k at most one q of x falls on p.
//
// Parts: elem, bias (bias_at), act (act4)

struct Params {
    items: u32, // cells of y
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
@group(0) @binding(2) var<storage, read> w: array<f32>; // [groups * C, group_cols, window_z, window_y, window_x]
@group(0) @binding(5) var<storage, read_write> y: array<Elem>; // [images, cols, y_z, y_y, y_x]
// bias: 3, in its part

override LANES: u32 = 64;

// The q of a tap along one axis, `reach` = p + pad; u32 maximum where there is none below `extent`.
fn source(reach: u32, step: u32, stride: u32, extent: u32) -> u32 {
    let distance = reach - step;
    let q = distance / stride;
    return select(0xffffffffu, q, reach >= step && distance % stride == 0u && q < extent);
}

// The sum over channels at place `at` of x and tap `tap` of the window.
fn channel_sum(plane: u32, m: u32, at: u32, tap: u32) -> f32 {
    let cells = params.x_z * params.x_y * params.x_x;
    let taps = params.window_z * params.window_y * params.window_x;
    var sum = 0.0;
    for (var c = 0u; c < params.channels; c++) {
        let own = w[((plane + c) % (params.groups * params.channels) * params.group_cols + m) * taps + tap];
        sum = fma(f32(x[(plane + c) * cells + at]), own, sum);
    }
    return sum;
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
    let line = item / params.y_x;
    let layer = line / params.y_y;
    let n = layer / params.y_z % params.cols;
    let reach_x = item % params.y_x + params.pad_x;
    let reach_y = line % params.y_y + params.pad_y;
    let reach_z = layer % params.y_z + params.pad_z;
    let image = layer / params.y_z / params.cols;
    let plane = (image * params.groups + n / params.group_cols) * params.channels;

    var sum = 0.0;
    for (var kz = 0u; kz < params.window_z; kz++) {
        let z = source(reach_z, kz * params.dilation_z, params.stride_z, params.x_z);
        for (var ky = 0u; ky < params.window_y; ky++) {
            let row = source(reach_y, ky * params.dilation_y, params.stride_y, params.x_y);
            for (var kx = 0u; kx < params.window_x; kx++) {
                let col = source(reach_x, kx * params.dilation_x, params.stride_x, params.x_x);
                if max(z, max(row, col)) < 0xffffffffu {
                    let at = (z * params.x_y + row) * params.x_x + col;
                    let tap = (kz * params.window_y + ky) * params.window_x + kx;
                    sum += channel_sum(plane, n % params.group_cols, at, tap);
                }
            }
        }
    }
    y[item] = Elem(act4(vec4<f32>(sum + bias_at(n))).x);
}
