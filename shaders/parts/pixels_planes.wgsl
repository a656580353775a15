// Role pixels: planes of normalised values. x_quad(patch, quad) is four values of a flattened patch, zero
// beyond its end.

@group(0) @binding(1) var<storage, read> pixels: array<Elem>; // [images, channels, height, width]

// `corner` is (image, y, x) of the patch; `k` counts (c, py, px).
fn pixels_at(corner: vec3<u32>, k: u32) -> f32 {
    let i = min(k, params.inner - 1u);
    let c = i / (PATCH * PATCH);
    let py = i / PATCH % PATCH;
    let px = i % PATCH;
    let plane = corner.x * (params.inner / (PATCH * PATCH)) + c;
    let value = f32(pixels[(plane * params.height + corner.y + py) * params.width + corner.z + px]);
    return select(0.0, value, k < params.inner);
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
