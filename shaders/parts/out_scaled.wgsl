// Role out: sums times the scale of their row and that of their column, each for all or one each. Binds x_scale, w_scale,
// y.

override X_SCALES: u32 = 1u;
override W_SCALES: u32 = 1u;

@group(0) @binding(5) var<storage, read> x_scale: array<f32>; // [1 or batch * rows]
@group(0) @binding(6) var<storage, read> w_scale: array<f32>; // [1 or cols]
@group(0) @binding(7) var<storage, read_write> y: array<f32>; // [batch, rows, cols]

fn put(line: u32, n: u32, sum: i32) {
    let scale = x_scale[select(0u, line, X_SCALES > 1u)] * w_scale[select(0u, n, W_SCALES > 1u)];
    y[line * params.cols + n] = f32(sum) * scale;
}
