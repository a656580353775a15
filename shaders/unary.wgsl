// A function of each cell, y = f(x). The functions are in families, a part each, where their formulas are; the
// override OP picks one, and a, b, c are its numbers.
//
// Each row is cut into spans of LANES * STEPS quads, a workgroup a span; neighbouring lanes take neighbouring quads.
// A tensor comes as a single row.
//
// Parts: elem (Elem, the activation type), xy (quads of a row), map (apply, the function)

struct Params {
    rows: u32,
    cols: u32,
    a: f32,
    b: f32,
    c: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<XCell>; // [rows, cols]
@group(0) @binding(2) var<storage, read_write> y: array<YCell>; // [rows, cols]

override LANES: u32 = 64;
override STEPS: u32 = 4;
override OP: u32 = 0u;

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
