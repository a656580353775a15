// Role bias: one f32 a column, for n and widths that are multiples of 4 and software adapters: read 64 bits at a time.

@group(0) @binding(3) var<storage, read> bias: array<vec2<u64>>; // [cols]

fn bias_quad(n: u32) -> vec4<f32> {
    let pairs = bias[min(n, params.cols - 1u) / 4u];
    return bitcast<vec4<f32>>(vec4<u32>(u32(pairs.x), u32(pairs.x >> 32u), u32(pairs.y), u32(pairs.y >> 32u)));
}
