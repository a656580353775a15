// Integers of 8 bits from a word each to four a word, rows padded with zeros to whole words:
//
//     y[row, i] = x[row, 4 i] & 255 | (x[row, 4 i + 1] & 255) << 8 | ...
//
// A lane takes STEPS neighbouring words.

struct Params {
    rows: u32,
    cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>; // [rows, cols]
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // [rows, ceil(cols / 4)]

override LANES: u32 = 64;
override STEPS: u32 = 1;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let words = (params.cols + 3u) / 4u;
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    for (var i = first; i < min(first + STEPS, params.rows * words); i++) {
        let col = 4u * (i % words);
        let at = i / words * params.cols + col;
        var word = 0u;
        for (var j = 0u; j < min(4u, params.cols - col); j++) {
            word = insertBits(word, x[at + j], 8u * j, 8u);
        }
        y[i] = word;
    }
}
