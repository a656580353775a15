// Role gain: one f32 a column, by quads. Columns beyond the end read the last one.

@group(0) @binding(2) var<storage, read> gain: array<f32>; // [cols]

fn gain_quad(i: u32) -> vec4<f32> {
    let c = min(vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.cols - 1u));
    return vec4<f32>(gain[c.x], gain[c.y], gain[c.z], gain[c.w]);
}
