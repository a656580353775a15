// Results of experts back to their tokens:
//
//     y[t, c] = sum over s of weights[t, s] * x[place[t, s], c]
//
// Assignments that were dropped (place 0xffffffff) add nothing. In order of s. A workgroup takes SPAN * LANES columns of
// a token, a lane every LANES-th of them. Places are clamped.

struct Params {
    tokens: u32,
    cols: u32,
    top: u32, // assignments of a token
    places: u32,
    blocks: u32, // workgroups a token
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [places, cols]
@group(0) @binding(2) var<storage, read> place: array<u32>; // [tokens, top]
@group(0) @binding(3) var<storage, read> weights: array<f32>; // [tokens, top]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [tokens, cols]

override LANES: u32 = 64;

const SPAN: u32 = 4u;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.x + group.y * groups.x;
    let token = block / params.blocks;
    if token >= params.tokens {
        return;
    }
    let first = block % params.blocks * SPAN * LANES + lane;
    for (var col = first; col < min(params.cols, first + SPAN * LANES); col += LANES) {
        var sum = 0.0;
        for (var s = 0u; s < params.top; s++) {
            let at = place[token * params.top + s];
            if at != 0xffffffffu {
                let row = min(at, params.places - 1u);
                sum = fma(weights[token * params.top + s], x[row * params.cols + col], sum);
            }
        }
        y[token * params.cols + col] = sum;
    }
}
