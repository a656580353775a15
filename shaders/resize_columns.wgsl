// Vertical pass of a resize, in Pillow's fixed point, by channel:
//
//     y[row, col] = clamp((2^21 + sum_t weights[t, row] * x[first[row] + t + origin - held, line + col]) >> 22)
//
// with t < count[row]. Samples above or below the picture are `background`; a column outside `inside_first ..
// inside_end`, and a row without weights, is `beyond`. One lane an output pixel; a workgroup takes LANES neighbouring
// columns of one row.
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
    beyond: u32, // colour of what lies beyond the resized picture
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
    // Of the taps 0 .. taps, those from `low` to `high` meet pixels that are held; the others meet background.
    let start = i32(first[row]) + params.origin;
    let first_held = start - i32(params.held);
    let taps = i32(min(count[row], params.taps));
    let low = clamp(max(-start, -first_held), 0, taps);
    let high = clamp(min(i32(params.size) - start, i32(params.x_rows) - first_held), low, taps);
    var sum = vec3<i32>(PIXEL_HALF);
    for (var t = low; t < high; t++) {
        let word = x[u32(first_held + t) * params.pitch + params.line + col];
        sum += weights[u32(t) * params.rows + row] * pixel_channels(word, shifts);
    }
    var outside = 0;
    for (var t = 0; t < low; t++) {
        outside += weights[u32(t) * params.rows + row];
    }
    for (var t = high; t < taps; t++) {
        outside += weights[u32(t) * params.rows + row];
    }
    sum += outside * pixel_channels(params.background, vec3<u32>(0u, 8u, 16u));
    // Outputs beyond the resized picture have no weights.
    let inside = count[row] > 0u && col >= params.inside_first && col < params.inside_end;
    let beyond = pixel_channels(params.beyond, vec3<u32>(0u, 8u, 16u)) << vec3<u32>(22u);
    y[row * params.cols + col] = pixel_word(select(beyond, sum, inside));
}
