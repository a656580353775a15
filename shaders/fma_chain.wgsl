// The ceiling of multiply-adds: eight independent chains of vec4 fma a lane, nothing else.
//
//     c <- c * m + a,   repeated; y[i] = sum of the components of the eight chains of lane i
//
// Every lane works for itself; memory is touched once at the end. Counts 8 x 4 multiply-adds a round and lane.
//
// Parts: none

struct Params {
    count: u32,
    turns: u32,
    factor: f32,
    addend: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [count]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [count]

override LANES: u32 = 64;

@compute @workgroup_size(LANES)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.count {
        return;
    }
    let m = vec4(params.factor);
    let a = vec4(params.addend);
    let start = vec4(x[id.x]);
    var c0 = start;
    var c1 = start + 1.0;
    var c2 = start + 2.0;
    var c3 = start + 3.0;
    var c4 = start + 4.0;
    var c5 = start + 5.0;
    var c6 = start + 6.0;
    var c7 = start + 7.0;
    // Four rounds a turn, so that the loop itself costs next to nothing.
    for (var turn = 0u; turn < params.turns; turn += 1u) {
        c0 = fma(c0, m, a);
        c1 = fma(c1, m, a);
        c2 = fma(c2, m, a);
        c3 = fma(c3, m, a);
        c4 = fma(c4, m, a);
        c5 = fma(c5, m, a);
        c6 = fma(c6, m, a);
        c7 = fma(c7, m, a);
        c0 = fma(c0, m, a);
        c1 = fma(c1, m, a);
        c2 = fma(c2, m, a);
        c3 = fma(c3, m, a);
        c4 = fma(c4, m, a);
        c5 = fma(c5, m, a);
        c6 = fma(c6, m, a);
        c7 = fma(c7, m, a);
        c0 = fma(c0, m, a);
        c1 = fma(c1, m, a);
        c2 = fma(c2, m, a);
        c3 = fma(c3, m, a);
        c4 = fma(c4, m, a);
        c5 = fma(c5, m, a);
        c6 = fma(c6, m, a);
        c7 = fma(c7, m, a);
        c0 = fma(c0, m, a);
        c1 = fma(c1, m, a);
        c2 = fma(c2, m, a);
        c3 = fma(c3, m, a);
        c4 = fma(c4, m, a);
        c5 = fma(c5, m, a);
        c6 = fma(c6, m, a);
        c7 = fma(c7, m, a);
    }
    y[id.x] = dot(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7, vec4(1.0));
}
