// Role mask: a key is seen where key_mask is not 0. Binds key_mask.

@group(1) @binding(0) var<storage, read> key_mask: array<u32>; // [k_rows]

fn mask_adjust(tile: Tile, i: vec4<u32>, j: u32, s: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(MASKED), s, vec4<bool>(key_mask[min(tile.k_first + j, arrayLength(&key_mask) - 1u)] != 0u));
}
