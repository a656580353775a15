// Role table: an embedding table in panels, stored as bf16: the upper halves of f32 words. Owns the binding
// `table`.

@group(1) @binding(0) var<storage, read> table: array<vec2<u32>>; // [ceil(cols / 4), rows] quads

fn table_quad(quad: u32) -> vec4<f32> {
    let words = table[quad];
    let low = bitcast<vec2<f32>>(words << vec2<u32>(16u));
    let high = bitcast<vec2<f32>>(words & vec2<u32>(0xffff0000u));
    return vec4<f32>(low.x, high.x, low.y, high.y);
}
