// Role mask: a pair of query and key whose flag is 0 is not seen, or, without MASK_HIDES, gets mask_off added.
// Flags are [sequences, heads, queries, keys] with a stride of 0 where they are broadcast. Binds mask.

@group(1) @binding(0) var<storage, read> mask: array<u32>;

override MASK_HIDES: bool = true;

fn mask_adjust(tile: Tile, i: vec4<u32>, j: u32, s: vec4<f32>) -> vec4<f32> {
    let row = tile.sequence * params.mask_sequence + tile.head * params.mask_head + j * params.mask_key;
    let at = min(row + (tile.first + i) * params.mask_query, vec4<u32>(arrayLength(&mask) - 1u));
    let on = vec4<u32>(mask[at.x], mask[at.y], mask[at.z], mask[at.w]) != vec4<u32>(0u);
    return select(select(s + params.mask_off, vec4<f32>(MASKED), MASK_HIDES), s, on);
}
