// Quantizing with given scales and zero points, a word a code:
//
//     y[i] = level(x[i] / scale[g(i)], zero[g(i)])
//
// The group of a cell follows from its place (outer, a, inner) around the axis of the scales:
// g = outer * outer_stride + a / block * axis_stride + inner * inner_stride. The quotient is corrected by its remainder,
// since a division may be off by 2.5 ulp and codes end at ties.
//
// A lane takes STEPS neighbouring cells.
//
// Parts: level (level, the code of a quotient), and what that part names; zero (zero_at)

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
@group(0) @binding(1) var<storage, read> x: array<f32>; // [cells]
@group(0) @binding(2) var<storage, read> scale: array<f32>; // [groups]
@group(0) @binding(4) var<storage, read_write> y: array<u32>; // [cells]

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
        let s = scale[g];
        var quotient = x[i] / s;
        if abs(quotient) < 16777216.0 {
            quotient += fma(-quotient, s, x[i]) / s;
        }
        y[i] = level(quotient, zero_at(g));
    }
}
