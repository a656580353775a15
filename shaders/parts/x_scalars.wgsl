// Role x: rows of activations of any width, zero beyond the end.

@group(0) @binding(1) var<storage, read> x: array<Elem>; // [rows, inner]

fn x_at(row: u32, k: u32) -> f32 {
    return select(0.0, f32(x[row * params.inner + min(k, params.inner - 1u)]), k < params.inner);
}

fn x_quad(row: u32, quad: u32) -> vec4<f32> {
    let k = 4u * quad;
    return vec4<f32>(x_at(row, k), x_at(row, k + 1u), x_at(row, k + 2u), x_at(row, k + 3u));
}
