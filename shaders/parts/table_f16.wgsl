// Role table: an embedding table in panels, stored as f16 and read without the f16 feature. Owns the binding
// `table`.

@group(1) @binding(0) var<storage, read> table: array<vec2<u32>>; // [ceil(cols / 4), rows] quads

fn table_quad(quad: u32) -> vec4<f32> {
    let words = table[quad];
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
