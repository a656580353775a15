// Role bias: a bias for each column. No barriers.

@group(1) @binding(0) var<storage, read> bias: array<f32>; // [cols]

fn bias_quad(i: u32) -> vec4<f32> {
    let c = min(vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.cols - 1u));
    return vec4<f32>(bias[c.x], bias[c.y], bias[c.z], bias[c.w]);
}
