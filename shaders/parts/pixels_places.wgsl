// Role pixels: planes of pictures of any size, one after the other; `places` says where each patch begins.
// x_quad(patch, quad) is four values of a flattened patch, channels slowest, zero beyond its end.

@group(0) @binding(1) var<storage, read> pixels: array<Elem>; // pictures of [channels, height, width] each
// of each patch: its first pixel, pixels from line to line, pixels from plane to plane, unused
@group(0) @binding(4) var<storage, read> places: array<vec4<u32>>; // [patches]

// `place` is that of the patch; `k` counts (c, py, px).
fn pixels_at(place: vec4<u32>, k: u32) -> f32 {
    let i = min(k, params.inner - 1u);
    let c = i / (PATCH * PATCH);
    let py = i / PATCH % PATCH;
    let px = i % PATCH;
    let at = place.x + c * place.z + py * place.y + px;
    let value = f32(pixels[min(at, arrayLength(&pixels) - 1u)]);
    return select(0.0, value, k < params.inner);
}

fn x_quad(row: u32, quad: u32) -> vec4<f32> {
    let place = places[min(row, params.rows - 1u)];
    let k = 4u * quad;
    return vec4<f32>(
        pixels_at(place, k),
        pixels_at(place, k + 1u),
        pixels_at(place, k + 2u),
        pixels_at(place, k + 3u),
    );
}
