// Role score: slope[head] * (j - p) is added (ALiBi, Press et al. 2022): less for keys that lie further back. Binds
// score_slopes.

@group(1) @binding(1) var<storage, read> score_slopes: array<f32>; // [heads]

fn score_adjust(tile: Tile, i: vec4<u32>, j: u32, s: vec4<f32>) -> vec4<f32> {
    let distance = vec4<f32>(i32(j) - tile.place - vec4<i32>(i));
    return fma(distance, vec4<f32>(score_slopes[tile.head] * LOG2_E), s);
}
