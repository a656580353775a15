// The gated unit of gpt-oss and of ONNX Runtime's mixtures:
//
//     y[row, i] = g sigmoid(alpha g) (u + beta),   g = min(gate[row, i], limit), u = clamp(up[row, i], -limit, limit)
//
// Gate and up are neighbours (INTERLEAVED: gate 2 i, up 2 i + 1) or the halves of a row of x. A lane takes STEPS neighbouring
// cells.

struct Params {
    cells: u32,
    cols: u32, // of y
    alpha: f32,
    beta: f32,
    limit: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, 2 cols]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [rows, cols]

override LANES: u32 = 64;
override STEPS: u32 = 1;
override INTERLEAVED: u32 = 0u;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    for (var i = first; i < min(first + STEPS, params.cells); i++) {
        let row = i / params.cols;
        let halves = 2u * row * params.cols + i % params.cols;
        let at = select(vec2<u32>(halves, halves + params.cols), vec2<u32>(2u * i, 2u * i + 1u), INTERLEAVED == 1u);
        let gate = min(x[at.x], params.limit);
        let up = clamp(x[at.y], -params.limit, params.limit);
        y[i] = gate / (1.0 + exp(min(-params.alpha * gate, 88.0))) * (up + params.beta);
    }
}
