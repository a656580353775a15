// Resampling of the middle axis by a plan of taps, as every separable resize is:
//
//     y[o, j, i] = sum over t < count[j] of weights[t, j] * x[o, first[j] + t, i]
//
// Where count[j] is 0, the cell is `outside`. A lane computes one cell of y; indices are clamped to x.
//
// Parts: elem (Elem, the activation type)

struct Params {
    items: u32, // cells of y
    count: u32, // cells of x along the axis
    places: u32, // cells of y along the axis
    inner: u32,
    taps: u32, // rows of weights
    outside: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Elem>; // [outer, count, inner]
@group(0) @binding(2) var<storage, read> first: array<u32>; // [places]
@group(0) @binding(3) var<storage, read> count: array<u32>; // [places]
@group(0) @binding(4) var<storage, read> weights: array<f32>; // [taps, places]
@group(0) @binding(5) var<storage, read_write> y: array<Elem>; // [outer, places, inner]

override LANES: u32 = 64;

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
    let line = item / params.inner;
    let j = line % params.places;
    let base = line / params.places * params.count * params.inner + item % params.inner;
    let taps = min(count[j], params.taps);
    var sum = 0.0;
    for (var t = 0u; t < taps; t++) {
        let at = min(first[j] + t, params.count - 1u);
        sum = fma(weights[t * params.places + j], f32(x[base + at * params.inner]), sum);
    }
    y[item] = Elem(select(sum, params.outside, taps == 0u));
}
