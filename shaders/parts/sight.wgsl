// Role sight: which keys a query sees, and what a scaled product of query and key becomes before the softmax.
//
// Query i of a sequence stands at p = i + k_len - q_len + shift among the keys. It sees the keys j with
// p - window < j <= p + ahead, as far as the mask lets it. Scores are in units of log2(e). Uses the members of
// Params that attention and attention_scores have in common, and the roles mask and score.

// No score may be larger in magnitude; a bias beyond it counts as it.
const FARTHEST: f32 = 1e37;
// Below every score, above every masked score; the difference of the two is finite.
const LOWEST: f32 = -1e38;
const MASKED: f32 = -3e38;
const LOG2_E: f32 = 1.4426950408889634;

override SOFTCAP: bool = false;

// Neighbouring queries of one sequence and head.
struct Tile {
    sequence: u32,
    head: u32,
    first: u32, // the tile's first query, counted in its sequence
    rows: u32, // queries of the tile
    q_first: u32, // row of q of the tile's first query, for head 0
    k_first: u32, // row of k and v of the sequence's first key, for head 0
    k_len: i32,
    place: i32, // p of the tile's first query
}

// The tile of `size` queries of a sequence that starts at query `first`; its spans are clamped to the tensors.
fn sight_tile(sequence: u32, head: u32, first: u32, size: u32) -> Tile {
    let q_start = min(spans[4u * sequence], params.q_rows);
    let q_len = min(spans[4u * sequence + 1u], params.q_rows - q_start);
    let k_start = min(spans[4u * sequence + 2u], params.k_rows);
    let k_len = i32(min(spans[4u * sequence + 3u], params.k_rows - k_start));
    let rows = min(max(q_len, first) - first, size);
    let place = i32(first) + k_len - i32(q_len) + params.shift;
    return Tile(sequence, head, first, rows, q_start + first, k_start, k_len, place);
}

// The keys from .. to - 1 that the queries i of the tile see, but for the mask.
fn keys_from(tile: Tile, i: vec4<i32>) -> vec4<i32> {
    return clamp(tile.place + i + 1 - params.window, vec4<i32>(0), vec4<i32>(tile.k_len));
}

fn keys_to(tile: Tile, i: vec4<i32>) -> vec4<i32> {
    return clamp(tile.place + i + 1 + params.ahead, vec4<i32>(0), vec4<i32>(tile.k_len));
}

// softcap * tanh(s / softcap): by a series near 0, where 1 - exp2 would cancel.
fn sight_cap(s: vec4<f32>) -> vec4<f32> {
    let x = s / params.softcap;
    let a = min(abs(x), vec4<f32>(20.0));
    let a2 = a * a;
    let near = a * (1.0 + a2 * (-1.0 / 3.0 + a2 * (2.0 / 15.0 + a2 * (-17.0 / 315.0 + a2 * (62.0 / 2835.0)))));
    let e = exp2(-2.0 * LOG2_E * a);
    return params.softcap * sign(x) * select((1.0 - e) / (1.0 + e), near, a < vec4<f32>(0.25));
}

// The scores of the tile's queries i with key j of the sequence, `s` being scale * dot(q, k).
fn sight_score(tile: Tile, i: vec4<u32>, j: u32, s: vec4<f32>) -> vec4<f32> {
    var score = s;
    if SOFTCAP {
        score = sight_cap(s);
    }
    return mask_adjust(tile, i, j, score_adjust(tile, i, j, score));
}
