// Role residual: added after the activation; any width. Columns beyond the end read the last one.

@group(0) @binding(4) var<storage, read> residual: array<Elem>; // [rows, cols]

fn residual_at(row: u32, n: u32) -> f32 {
    return f32(residual[row * params.cols + min(n, params.cols - 1u)]);
}

fn residual_quad(row: u32, n: u32) -> vec4<f32> {
    return vec4<f32>(
        residual_at(row, n),
        residual_at(row, n + 1u),
        residual_at(row, n + 2u),
        residual_at(row, n + 3u),
    );
}
