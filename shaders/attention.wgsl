// Attention with an online softmax: no score matrix in memory. For query i of a sequence and head h, over the
// keys j that it sees (the role sight says which):
//
//     y[i, h] = sum_j w_j v[j, h / kv_group] / (sum_j w_j + exp(sink[h])),    w_j = exp(s_j)
//     s_j = score(scale * dot(q[i, h], k[j, h / kv_group]))
//
// and 0 if it sees none. `score` caps, adds a bias and masks as the parts say; the term of the sink is there where
// there is one. Weights are powers of two, so `scale` comes multiplied by log2(e); they are relative to the
// largest score so far, and what was summed before is scaled down whenever that grows.
//
// One workgroup a tile of 32 queries of one sequence and head. The host knows the sequences' number but not
// their lengths: it launches `tiles` for the worst case, and a workgroup walks the spans to find its own.
// Rows of q outside every span are left unwritten. Spans are clamped to the tensors.
//
// Parts: elem (Elem), sight (Tile, keys_from, keys_to, sight_score), mask, score (for sight), sink (sink_score),
// attend (attend), cache (KvCell, cache_k, cache_v and their quads), run (run_k, run_v; for attend_lanes only)

struct Params {
    q_rows: u32, // of head 0
    k_rows: u32, // of head 0
    sequences: u32,
    tiles: u32,
    heads: u32,
    kv_group: u32,
    q_stride: u32, // elements from row to row
    k_stride: u32,
    v_stride: u32,
    y_stride: u32,
    q_head: u32, // elements from head to head
    k_head: u32,
    v_head: u32,
    y_head: u32,
    q_offset: u32,
    k_offset: u32,
    v_offset: u32,
    scale: f32,
    softcap: f32,
    shift: i32,
    ahead: i32,
    window: i32,
    mask_sequence: u32,
    mask_head: u32,
    mask_query: u32,
    mask_key: u32,
    mask_off: f32,
    score_sequence: u32,
    score_head: u32,
    score_query: u32,
    score_key: u32,
    score_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// Element d of head h in row r: [r * stride + offset + h * head + d]
@group(0) @binding(1) var<storage, read> q: array<Elem>; // rows of q_stride
@group(0) @binding(2) var<storage, read> k: array<KvCell>; // rows of k_stride
@group(0) @binding(3) var<storage, read> v: array<KvCell>; // rows of v_stride
@group(0) @binding(4) var<storage, read> spans: array<u32>; // [sequences, 4] = q_start, q_len, k_start, k_len
@group(0) @binding(5) var<storage, read_write> y: array<Elem>; // rows of y_stride, as those of q

override LANES: u32 = 64;
override HEAD_DIM: u32 = 64; // elements of a head of q and k
override VALUE_DIM: u32 = 64; // elements of a head of v and y

const TILE: u32 = 32;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group.x + group.y * groups.x;
    if index >= params.heads * params.tiles {
        return;
    }
    var tile: Tile;
    let head = index / params.tiles;
    var left = index % params.tiles;
    for (var s = 0u; s < params.sequences; s++) {
        let q_start = min(spans[4u * s], params.q_rows);
        let q_len = min(spans[4u * s + 1u], params.q_rows - q_start);
        let count = (q_len + TILE - 1u) / TILE;
        if left < count {
            tile = sight_tile(s, head, left * TILE, TILE);
            break;
        }
        left -= count;
    }
    if tile.rows == 0u {
        return;
    }
    attend(tile, lane);
}
