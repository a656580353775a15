// Role x: activations through strides, zero beyond the end of k. Uses x_first of the kernel.

@group(0) @binding(1) var<storage, read> x: array<Elem>; // any order of axes

fn x_at(row: u32, k: u32) -> f32 {
    let at = x_first + row * params.x_row + min(k, params.inner - 1u) * params.x_k;
    return select(0.0, f32(x[at]), k < params.inner);
}

fn x_quad(row: u32, quad: u32) -> vec4<f32> {
    let k = 4u * quad;
    return vec4<f32>(x_at(row, k), x_at(row, k + 1u), x_at(row, k + 2u), x_at(row, k + 3u));
}
