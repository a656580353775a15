// Role mask: every key of a sequence may be seen.

fn mask_adjust(tile: Tile, i: vec4<u32>, j: u32, s: vec4<f32>) -> vec4<f32> {
    return s;
}
