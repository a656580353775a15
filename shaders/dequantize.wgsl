// Codes back to numbers, a word a code:
//
//     y[i] = difference(x[i], zero[g(i)]) * scale[g(i)]
//
// The group of a cell follows from its place (outer, a, inner) around the axis of the scales:
// g = outer * outer_stride + a / block * axis_stride + inner * inner_stride.
//
// A lane takes STEPS neighbouring cells.
//
// Parts: minus (difference, of two codes), and what that part names; zero (zero_at)

struct Params {
    cells: u32,
    extent: u32, // of the axis
    inner: u32, // cells of the axes after it
    block: u32, // neighbours along the axis that share a scale
    outer_stride: u32,
    axis_stride: u32,
    inner_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>; // [cells]
@group(0) @binding(2) var<storage, read> scale: array<f32>; // [groups]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [cells]

override LANES: u32 = 64;
override STEPS: u32 = 1;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    for (var i = first; i < min(first + STEPS, params.cells); i++) {
        let line = i / params.inner;
        let g = line / params.extent * params.outer_stride
            + line % params.extent / params.block * params.axis_stride
            + i % params.inner * params.inner_stride;
        y[i] = difference(x[i], zero_at(g)) * scale[g];
    }
}
