// Role score: a bias is added, [sequences, heads, queries, keys] with a stride of 0 where it is broadcast. Where it
// is minus infinity the key is not seen: read as bits, since WGSL may take infinities for absent. Binds score_bias.

@group(1) @binding(1) var<storage, read> score_bias: array<u32>; // f32 bits

fn score_adjust(tile: Tile, i: vec4<u32>, j: u32, s: vec4<f32>) -> vec4<f32> {
    let row = tile.sequence * params.score_sequence + tile.head * params.score_head + j * params.score_key;
    let at = min(row + (tile.first + i) * params.score_query, vec4<u32>(arrayLength(&score_bias) - 1u));
    let bits = vec4<u32>(score_bias[at.x], score_bias[at.y], score_bias[at.z], score_bias[at.w]);
    let bias = clamp(bitcast<vec4<f32>>(bits), vec4<f32>(-FARTHEST), vec4<f32>(FARTHEST));
    return select(fma(bias, vec4<f32>(LOG2_E), s), vec4<f32>(MASKED), bits == vec4<u32>(0xff800000u));
}
