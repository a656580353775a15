// A branch scaled by column and added to what goes around it (LayerScale, Touvron et al. 2021):
//
//     y[row, i] = residual[row, i] + gain[i] * x[row, i]
//
// Each row is cut into spans of LANES * STEPS quads, a workgroup a span; neighbouring lanes take neighbouring quads.
//
// Parts: elem (Elem, the activation type), xy (quads of a row), residual (residual_quad)

struct Params {
    rows: u32,
    cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<XCell>; // [rows, cols]
@group(0) @binding(2) var<storage, read> gain: array<f32>; // [cols]
@group(0) @binding(3) var<storage, read_write> y: array<YCell>; // [rows, cols]

override LANES: u32 = 64;
override STEPS: u32 = 4;

fn gain_quad(i: u32) -> vec4<f32> {
    let c = min(vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.cols - 1u));
    return vec4<f32>(gain[c.x], gain[c.y], gain[c.z], gain[c.w]);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let span = group.x + group.y * groups.x;
    let spans = (quads() + LANES * STEPS - 1u) / (LANES * STEPS);
    let row = span / spans;
    if row >= params.rows {
        return;
    }
    let first = (span % spans) * LANES * STEPS;
    let end = min(first + LANES * STEPS, quads());
    for (var i = first + lane; i < end; i += LANES) {
        y_put(row, i, residual_quad(row, 4u * i) + gain_quad(i) * x_quad(row, i));
    }
}
