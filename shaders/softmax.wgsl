// Softmax of each row:
//
//     y[row, i] = exp(x[row, i] - top) / sum_j(exp(x[row, j] - top)),  top = max_j(x[row, j])
//
// or, where the override LOG is 1, its logarithm, (x[row, i] - top) - log(sum_j(exp(x[row, j] - top))).
//
// A workgroup takes ROWS neighbouring rows; the part `sweep` says how. Masks are large finite negative numbers; a row
// of nothing else is uniform, as the formula has it.
//
// Parts: elem (Elem, the activation type), xy (quads of a row), sweep (the rows of a workgroup), reduce (group_sum,
// group_max); with sweep_streams also rows (blocks of four streams)

struct Params {
    rows: u32, // the end of the rows to work on
    cols: u32,
    first: u32, // their beginning
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<XCell>; // [rows, cols]
@group(0) @binding(2) var<storage, read_write> y: array<YCell>; // [rows, cols]

// No logit or mask is below it.
const LOWEST: f32 = -3.4028234e38;

// e^-104 is below half the smallest denormal: what is further down counts as 0.
const FAR: f32 = -104.0;

fn quad_max(v: vec4<f32>, w: vec4<f32>) -> f32 {
    let own = select(vec4<f32>(LOWEST), v, w > vec4<f32>(0.0));
    return max(max(own.x, own.y), max(own.z, own.w));
}

// Of each stream, the largest cell that weighs anything.
fn block_max(v: mat4x4<f32>, w: mat4x4<f32>) -> vec4<f32> {
    return vec4<f32>(quad_max(v[0], w[0]), quad_max(v[1], w[1]), quad_max(v[2], w[2]), quad_max(v[3], w[3]));
}

// exp(v - top) for v <= top, and no more than 1 for cells that are not of the row.
fn exp_below(v: vec4<f32>, top: f32) -> vec4<f32> {
    return exp(clamp(v - top, vec4<f32>(FAR), vec4<f32>(0.0)));
}

override LANES: u32 = 64;
override LOG: u32 = 0u;

// What finishes a row: the factor of its exponentials, or their logarithm's distance from x - top.
fn row_weight(sum: vec4<f32>) -> vec4<f32> {
    if LOG == 1u {
        return log(sum);
    }
    return 1.0 / sum;
}

fn finished(v: vec4<f32>, top: f32, weight: f32) -> vec4<f32> {
    if LOG == 1u {
        return (v - top) - weight;
    }
    return exp_below(v, top) * weight;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = params.first + (group.x + group.y * groups.x) * ROWS;
    if row >= params.rows {
        return;
    }
    sweep(row, lane);
}
