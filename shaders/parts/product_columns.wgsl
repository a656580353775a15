// Role products: each of four columns by itself (role product).

fn w_products(
    run: u32, lane: u32, col: vec4<u32>, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>
) -> vec4<f32> {
    return vec4<f32>(
        w_product(run, col.x, a, b, c, d),
        w_product(run, col.y, a, b, c, d),
        w_product(run, col.z, a, b, c, d),
        w_product(run, col.w, a, b, c, d),
    );
}
