// Role product: 64 weights of a column, in blocks of 32 (role codes), times as many activations.
//
// w_product(run, col, a, b, c, d) is the sum over k = 64 run .. 64 run + 63; quads beyond the end of k are zero.

fn w_product(run: u32, col: u32, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>) -> f32 {
    let blocks = params.inner / 32u;
    let first = col * blocks;
    return codes_product(first + 2u * run, a, b) + codes_product(first + min(2u * run + 1u, blocks - 1u), c, d);
}
