// Vertical pass of a resize, in Pillow's fixed point, by channel:
//
//     y[row, col] = clamp((2^21 + sum_t weights[t, row] * x[first[row] + t + origin - held, line + col]) >> 22)
//
// with t < count[row]. Samples above or below the picture are `background`; a column outside `inside_first ..
// inside_end` is black. One lane an output pixel; a workgroup takes LANES neighbouring columns of one row.
//
// Parts: pixel (channels of a word, rounding to a word)

struct Params {
    rows: u32, // rows of y
    cols: u32, // columns of y
    taps: u32, // rows of weights
    x_rows: u32, // rows of x
    pitch: u32, // words from one row of x to the next
    size: u32, // rows of the picture
    held: u32, // row of the picture that is row 0 of x
    origin: i32, // row of the picture where the counting of `first` starts; negative where it is padded
    background: u32,
    red: u32, // bit position of red in a word of x; blue is at 16 - red
    inside_first: u32, // columns of y
    inside_end: u32,
    line: u32, // column of x that is column 0 of y
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>; // [x_rows, pitch]
@group(0) @binding(2) var<storage, read> first: array<u32>; // [rows]
@group(0) @binding(3) var<storage, read> count: array<u32>; // [rows]
@group(0) @binding(4) var<storage, read> weights: array<i32>; // [taps, rows]
@group(0) @binding(5) var<storage, read_write> y: array<u32>; // [rows, cols]

override LANES: u32 = 64;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tiles = (params.cols + LANES - 1u) / LANES;
    let tile = group.x + group.y * groups.x;
    let row = tile / tiles;
    let col = (tile % tiles) * LANES + lane;
    if row >= params.rows || col >= params.cols {
        return;
    }
    let shifts = vec3<u32>(params.red, 8u, 16u - params.red);
    let background = pixel_channels(params.background, vec3<u32>(0u, 8u, 16u));
    let start = i32(first[row]) + params.origin;
    var sum = vec3<i32>(PIXEL_HALF);
    for (var t = 0u; t < min(count[row], params.taps); t++) {
        let at = start + i32(t);
        let in_picture = at >= 0 && at < i32(params.size);
        let held = clamp(at - i32(params.held), 0, i32(params.x_rows) - 1);
        let sample = pixel_channels(x[u32(held) * params.pitch + params.line + col], shifts);
        sum += weights[t * params.rows + row] * select(background, sample, in_picture);
    }
    let inside = col >= params.inside_first && col < params.inside_end;
    y[row * params.cols + col] = pixel_word(select(vec3<i32>(0), sum, inside));
}
