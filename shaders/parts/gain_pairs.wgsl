// Role gain: one f32 a column, by quads, for whole quads and software adapters: read 64 bits at a time.

@group(0) @binding(2) var<storage, read> gain: array<vec2<u64>>; // [cols]

fn gain_quad(i: u32) -> vec4<f32> {
    let pairs = gain[min(i, params.cols / 4u - 1u)];
    return bitcast<vec4<f32>>(vec4<u32>(u32(pairs.x), u32(pairs.x >> 32u), u32(pairs.y), u32(pairs.y >> 32u)));
}
