// Role x: rows of activations whose width is a multiple of 4. x_quad(row, quad) is x[row, 4 quad ..].

@group(0) @binding(1) var<storage, read> x: array<Elem4>; // [rows, inner / 4]

fn x_quad(row: u32, quad: u32) -> vec4<f32> {
    return vec4<f32>(x[row * (params.inner / 4u) + quad]);
}
