// Convolution of integers of 8 bits, a word each, over up to three axes:
//
//     y[b, n, p] = start[n] + sum over (c, k) of (x[b, g C + c, p stride + k dilation - pad] - x_zero) * (w[n, c, k] - w_zero[n])
//
// with places p, k and the attributes by axis (z, y, x) and g = n / group_cols; outside x the difference is 0. Sums in 32
// bits, exactly. A lane computes one cell.
//
// Parts: start (sum_start)

struct Params {
    items: u32, // cells of y
    cols: u32, // channels of y
    group_cols: u32,
    groups: u32,
    channels: u32, // C
    w_zero_step: u32, // 0: one for all channels of y; 1: one each
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
@group(0) @binding(1) var<storage, read> x: array<i32>; // [images, groups * C, x_z, x_y, x_x]
@group(0) @binding(2) var<storage, read> w: array<i32>; // [cols, C, window_z, window_y, window_x]
@group(0) @binding(3) var<storage, read> x_zero: array<i32>; // [1]
@group(0) @binding(4) var<storage, read> w_zero: array<i32>; // [1 or cols]
@group(0) @binding(5) var<storage, read_write> y: array<i32>; // [images, cols, y_z, y_y, y_x]

override LANES: u32 = 64;

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
    let plane = layer / params.y_z;
    let n = plane % params.cols;
    let place = vec3<u32>(layer % params.y_z, line % params.y_y, item % params.y_x);
    let stride = vec3<u32>(params.stride_z, params.stride_y, params.stride_x);
    // What lies before the first cell is a huge number.
    let corner = place * stride - vec3<u32>(params.pad_z, params.pad_y, params.pad_x);
    let taps = params.window_z * params.window_y * params.window_x;
    let first = (plane / params.cols * params.groups + n / params.group_cols) * params.channels;
    let zero = w_zero[n * params.w_zero_step];
    var sum = sum_start(n);
    for (var i = 0u; i < params.channels * taps; i++) {
        let tap = vec3<u32>(
            i / (params.window_y * params.window_x) % params.window_z,
            i / params.window_x % params.window_y,
            i % params.window_x,
        );
        let at = corner + tap * vec3<u32>(params.dilation_z, params.dilation_y, params.dilation_x);
        if all(at < vec3<u32>(params.x_z, params.x_y, params.x_x)) {
            let cell = (((first + i / taps) * params.x_z + at.x) * params.x_y + at.y) * params.x_x + at.z;
            sum += (x[cell] - x_zero[0]) * (w[n * params.channels * taps + i] - zero);
        }
    }
    y[item] = sum;
}
