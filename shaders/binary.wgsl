// A function of two cells, chosen by the override OP (the order of `BinaryOp` in src/kernels/binary.rs):
//
//     y[row, i] = x[row, i] op b[row, i]   op: 0 +, 1 -, 2 *, 3 /, 4 max, 5 min
//
// Each row is cut into spans of LANES * STEPS quads, a workgroup a span; neighbouring lanes take neighbouring quads.
// The part `b` repeats the second operand where it is broadcast.
//
// Parts: elem (Elem, the activation type), xy (quads of a row), b (b_quad)

struct Params {
    rows: u32,
    cols: u32,
    b_row: u32,
    b_col: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<XCell>; // [rows, cols]
@group(0) @binding(2) var<storage, read_write> y: array<YCell>; // [rows, cols]

override LANES: u32 = 64;
override STEPS: u32 = 4;
override OP: u32 = 0u;

fn apply(v: vec4<f32>, other: vec4<f32>) -> vec4<f32> {
    switch OP {
        case 1u: {
            return v - other;
        }
        case 2u: {
            return v * other;
        }
        case 3u: {
            return v / other;
        }
        case 4u: {
            return max(v, other);
        }
        case 5u: {
            return min(v, other);
        }
        default: {
            return v + other;
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
        y_put(row, i, apply(x_quad(row, i), b_quad(row, i)));
    }
}
