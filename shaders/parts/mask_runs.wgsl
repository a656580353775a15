// Role mask: a pair of query and key is not seen where the flag of the key's run is 0. MASK_RUN neighbouring keys of a
// sequence are a run. Flags are [sequences, heads, queries, runs] with a stride of 0 where they are broadcast; indices
// are clamped. Binds mask.

@group(1) @binding(0) var<storage, read> mask: array<u32>;

override MASK_RUN: u32 = 1;

fn mask_adjust(tile: Tile, i: vec4<u32>, j: u32, s: vec4<f32>) -> vec4<f32> {
    let row = tile.sequence * params.mask_sequence + tile.head * params.mask_head + j / MASK_RUN * params.mask_key;
    let at = min(row + (tile.first + i) * params.mask_query, vec4<u32>(arrayLength(&mask) - 1u));
    let on = vec4<u32>(mask[at.x], mask[at.y], mask[at.z], mask[at.w]) != vec4<u32>(0u);
    return select(vec4<f32>(MASKED), s, on);
}
