// Role stats: mean and scale of each row are written out. Binds mean, inv_std.

@group(0) @binding(5) var<storage, read_write> mean: array<f32>; // [rows]
@group(0) @binding(6) var<storage, read_write> inv_std: array<f32>; // [rows]

fn stats_put(row: u32, lane: u32, center: vec4<f32>, scale: vec4<f32>) {
    if lane < ROWS && row + lane < params.rows {
        mean[row + lane] = center[lane];
        inv_std[row + lane] = scale[lane];
    }
}
