// Role residual: through strides, which are 0 where it is broadcast. Columns beyond the end read the last one. Uses
// r_first of the kernel.

@group(0) @binding(4) var<storage, read> residual: array<Elem>; // any order of axes

fn residual_at(row: u32, n: u32) -> f32 {
    return f32(residual[r_first + row * params.r_row + min(n, params.cols - 1u) * params.r_col]);
}

fn residual_quad(row: u32, n: u32) -> vec4<f32> {
    return vec4<f32>(
        residual_at(row, n),
        residual_at(row, n + 1u),
        residual_at(row, n + 2u),
        residual_at(row, n + 3u),
    );
}
