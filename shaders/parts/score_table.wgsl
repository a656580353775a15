// Role score: a bias by head from a table, whose row an index by query and key names (relative positions: buckets
// of T5, tables of BEiT and Swin). Rows beyond the table are its last. Binds score_table, score_index.

@group(1) @binding(1) var<storage, read> score_table: array<f32>; // [score_rows, heads]
@group(1) @binding(2) var<storage, read> score_index: array<u32>; // [queries, keys]

fn score_adjust(tile: Tile, i: vec4<u32>, j: u32, s: vec4<f32>) -> vec4<f32> {
    let cell = (tile.first + i) * params.score_query + j * params.score_key;
    let at = min(cell, vec4<u32>(arrayLength(&score_index) - 1u));
    let named = vec4<u32>(score_index[at.x], score_index[at.y], score_index[at.z], score_index[at.w]);
    let row = min(named, vec4<u32>(params.score_rows - 1u)) * params.heads + tile.head;
    let bias = vec4<f32>(score_table[row.x], score_table[row.y], score_table[row.z], score_table[row.w]);
    return fma(bias, vec4<f32>(LOG2_E), s);
}
