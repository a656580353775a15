// A function of each cell, chosen by the override OP (the order of `UnaryOp` in src/kernels/unary.rs):
//
//     0 act       the activation ACT
//     1 exp       exp(min(x, 88.5))
//     2 tanh      tanh(x)
//     3 sigmoid   1 / (1 + exp(-x))
//     4 affine    x * scale + shift
//     5 soft cap  scale * tanh(x / scale)
//
// Each row is cut into spans of LANES * STEPS quads, a workgroup a span; neighbouring lanes take neighbouring quads.
// A tensor comes as a single row.
//
// Parts: elem (Elem, the activation type), xy (quads of a row), act (act4)

struct Params {
    rows: u32,
    cols: u32,
    scale: f32,
    shift: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<XCell>; // [rows, cols]
@group(0) @binding(2) var<storage, read_write> y: array<YCell>; // [rows, cols]

override LANES: u32 = 64;
override STEPS: u32 = 4;
override OP: u32 = 0u;

// Near 0 Lambert's continued fraction, cut where it is 6e-10 off at 0.6; beyond it by the exponential, whose
// argument is held where nothing overflows.
fn tanh4(v: vec4<f32>) -> vec4<f32> {
    let a = min(abs(v), vec4<f32>(20.0));
    let z = a * a;
    let near = a * (945.0 + z * (105.0 + z)) / (945.0 + z * (420.0 + z * 15.0));
    let far = 1.0 - 2.0 / (exp(2.0 * a) + 1.0);
    return sign(v) * select(far, near, a < vec4<f32>(0.6));
}

fn apply(v: vec4<f32>) -> vec4<f32> {
    switch OP {
        case 1u: {
            return exp(min(v, vec4<f32>(88.5)));
        }
        case 2u: {
            return tanh4(v);
        }
        case 3u: {
            return 1.0 / (1.0 + exp(min(-v, vec4<f32>(88.0))));
        }
        case 4u: {
            return v * params.scale + params.shift;
        }
        case 5u: {
            return params.scale * tanh4(v / params.scale);
        }
        default: {
            return act4(v);
        }
    }
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
        y_put(row, i, apply(x_quad(row, i)));
    }
}
