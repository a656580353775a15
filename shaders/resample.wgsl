// Resampling of the middle axis by a plan of taps, as every separable resize is:
//
//     y[o, j, i] = sum over t < count[j] of weights[t, j] * x[o, first[j] + t, i]
//
// Where count[j] is 0, the cell is `outside`. A lane computes one cell (o, j, i), or with LINES = 4 those of four
// neighbouring o, which share their weights. Indices are clamped to x.
//
// Parts: elem (Elem, the activation type), cell (Cell, Num: an element or four neighbouring i)

struct Params {
    items: u32, // ceil(outer / LINES) * places * inner
    outer: u32,
    count: u32, // cells of x along the axis
    places: u32, // cells of y along the axis
    inner: u32, // cells
    taps: u32, // rows of weights
    outside: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Cell>; // [outer, count, inner]
@group(0) @binding(2) var<storage, read> first: array<u32>; // [places]
@group(0) @binding(3) var<storage, read> count: array<u32>; // [places]
@group(0) @binding(4) var<storage, read> weights: array<f32>; // [taps, places]
@group(0) @binding(5) var<storage, read_write> y: array<Cell>; // [outer, places, inner]

override LANES: u32 = 64;
override LINES: u32 = 1;

fn put(outer: u32, j: u32, i: u32, sum: Num, empty: bool) {
    if outer < params.outer {
        y[(outer * params.places + j) * params.inner + i] = Cell(select(sum, Num(params.outside), empty));
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = (group.x + group.y * groups.x) * LANES + lane;
    if item >= params.items {
        return;
    }
    let i = item % params.inner;
    let j = item / params.inner % params.places;
    let outer = item / params.inner / params.places * LINES;
    // Beyond the last line, that one again.
    let lines = min(vec4<u32>(outer) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.outer - 1u));
    let base = lines * (params.count * params.inner) + i;
    let taps = min(count[j], params.taps);
    var a = Num();
    var b = Num();
    var c = Num();
    var d = Num();
    for (var t = 0u; t < taps; t++) {
        let weight = Num(weights[t * params.places + j]);
        let at = base + min(first[j] + t, params.count - 1u) * params.inner;
        a = fma(weight, Num(x[at.x]), a);
        if LINES > 1u {
            b = fma(weight, Num(x[at.y]), b);
            c = fma(weight, Num(x[at.z]), c);
            d = fma(weight, Num(x[at.w]), d);
        }
    }
    put(outer, j, i, a, taps == 0u);
    if LINES > 1u {
        put(outer + 1u, j, i, b, taps == 0u);
        put(outer + 2u, j, i, c, taps == 0u);
        put(outer + 3u, j, i, d, taps == 0u);
    }
}
