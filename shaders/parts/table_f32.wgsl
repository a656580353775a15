// Role table: an embedding table in panels, stored as f32. Owns the binding `table`.

@group(1) @binding(0) var<storage, read> table: array<vec4<f32>>; // [ceil(cols / 4), rows] quads

fn table_quad(quad: u32) -> vec4<f32> {
    return table[quad];
}
