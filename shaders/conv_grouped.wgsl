// Convolution over up to three axes with groups too narrow for tiles; depthwise is the narrowest:
//
//     y[b, n, p] = act(sum over (c, k) of x[b, g C + c, p stride + k dilation - pad] * w[n, c, k] + bias[n])
//
// with places p, k and the attributes by axis (z, y, x), x being 0 outside, and g = n / group_cols. A lane computes
// four neighbouring places of one line of y, so that a weight is loaded once for them.
//
// Parts: elem, bias (bias_at), act (act4)

struct Params {
    items: u32, // lines of y * ceil(y_x / 4)
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

// x of the line that begins at `line`, at four columns; those before its first cell are huge numbers.
fn x_at(line: u32, col: vec4<u32>) -> vec4<f32> {
    let inside = col < vec4<u32>(params.x_x);
    let at = line + select(vec4<u32>(0u), col, inside);
    let values = vec4<f32>(f32(x[at.x]), f32(x[at.y]), f32(x[at.z]), f32(x[at.w]));
    return select(vec4<f32>(0.0), values, inside);
}

// The products of one channel and one line of its window.
fn line_sum(line: u32, taps: u32, first: vec4<u32>) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    for (var k = 0u; k < params.window_x; k++) {
        sum = fma(vec4<f32>(w[taps + k]), x_at(line, first + k * params.dilation_x), sum);
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
    let quads = (params.y_x + 3u) / 4u;
    let col = 4u * (item % quads);
    let line = item / quads;
    let layer = line / params.y_y;
    let plane = layer / params.y_z;
    let n = plane % params.cols;
    let top = line % params.y_y * params.stride_y - params.pad_y;
    let front = layer % params.y_z * params.stride_z - params.pad_z;
    let first = (vec4<u32>(col) + vec4<u32>(0u, 1u, 2u, 3u)) * params.stride_x - params.pad_x;

    let channel = (plane / params.cols * params.groups + n / params.group_cols) * params.channels;
    var sum = vec4<f32>(0.0);
    var taps = n * params.channels * params.window_z * params.window_y * params.window_x;
    for (var c = 0u; c < params.channels; c++) {
        var channel_sum = vec4<f32>(0.0);
        for (var kz = 0u; kz < params.window_z; kz++) {
            let z = front + kz * params.dilation_z;
            for (var ky = 0u; ky < params.window_y; ky++) {
                let row = top + ky * params.dilation_y;
                if z < params.x_z && row < params.x_y {
                    let start = (((channel + c) * params.x_z + z) * params.x_y + row) * params.x_x;
                    channel_sum += line_sum(start, taps, first);
                }
                taps += params.window_x;
            }
        }
        sum += channel_sum;
    }

    let values = act4(sum + bias_at(n));
    let at = line * params.y_x + col;
    y[at] = Elem(values.x);
    if col + 1u < params.y_x {
        y[at + 1u] = Elem(values.y);
    }
    if col + 2u < params.y_x {
        y[at + 2u] = Elem(values.z);
    }
    if col + 3u < params.y_x {
        y[at + 3u] = Elem(values.w);
    }
}
