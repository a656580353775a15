// Role score: nothing is added to a score.

fn score_adjust(tile: Tile, i: vec4<u32>, j: u32, s: vec4<f32>) -> vec4<f32> {
    return s;
}
