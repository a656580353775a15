// Role pixels: 8-bit pictures, a word 0xAABBGGRR a pixel, normalised on the fly: (value * rescale - mean) / std.
// x_quad(patch, quad) is four values of a flattened patch, channels slowest, zero beyond its end.

@group(0) @binding(1) var<storage, read> pixels: array<u32>; // [images, height, width]

// `corner` is (image, y, x) of the patch; `k` counts (c, py, px).
fn pixels_at(corner: vec3<u32>, k: u32) -> f32 {
    let i = min(k, params.inner - 1u);
    let c = i / (PATCH * PATCH);
    let py = i / PATCH % PATCH;
    let px = i % PATCH;
    let word = pixels[(corner.x * params.height + corner.y + py) * params.width + corner.z + px];
    let value = f32((word >> (8u * c)) & 255u);
    let mean = select(select(params.mean_b, params.mean_g, c == 1u), params.mean_r, c == 0u);
    let spread = select(select(params.std_b, params.std_g, c == 1u), params.std_r, c == 0u);
    return select(0.0, (value * params.rescale - mean) / spread, k < params.inner);
}

fn x_quad(row: u32, quad: u32) -> vec4<f32> {
    let grid_row = row / params.grid_cols;
    let image = grid_row / params.grid_rows;
    let corner = vec3<u32>(image, grid_row % params.grid_rows * PATCH, row % params.grid_cols * PATCH);
    let k = 4u * quad;
    return vec4<f32>(
        pixels_at(corner, k),
        pixels_at(corner, k + 1u),
        pixels_at(corner, k + 2u),
        pixels_at(corner, k + 3u),
    );
}
