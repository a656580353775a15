// Role bias: one f32 a column. Columns beyond the end read the last one.

@group(0) @binding(3) var<storage, read> bias: array<f32>; // [cols]

fn bias_at(n: u32) -> f32 {
    return bias[min(n, params.cols - 1u)];
}

fn bias_quad(n: u32) -> vec4<f32> {
    return vec4<f32>(bias_at(n), bias_at(n + 1u), bias_at(n + 2u), bias_at(n + 3u));
}
