// Attention with an online softmax: no score matrix in memory. For query i of a sequence and head h, over the
// keys j that it sees (with p = i + k_len - q_len: j <= p if causal, j > p - window, key_mask[j] != 0):
//
//     y[i, h] = sum_j w_j v[j, h / kv_group] / sum_j w_j,    w_j = exp(scale * dot(q[i, h], k[j, h / kv_group]))
//
// and 0 if it sees none. Weights are powers of two, so `scale` comes multiplied by log2(e); they are relative to the
// largest score so far, and what was summed before is scaled down whenever that grows.
//
// One workgroup a tile of 32 queries of one sequence and head. The host knows the sequences' number but not
// their lengths: it launches `tiles` for the worst case, and a workgroup walks the spans to find its own.
// Rows of q outside every span are left unwritten. Spans are clamped to the tensors.
//
// Parts: elem (Elem), attend (attend), octet (octet_k, octet_v; for attend_lanes only), mask (mask_sees)

struct Params {
    q_rows: u32,
    k_rows: u32,
    sequences: u32,
    tiles: u32,
    heads: u32,
    kv_group: u32,
    q_stride: u32,
    k_stride: u32,
    v_stride: u32,
    q_offset: u32,
    k_offset: u32,
    v_offset: u32,
    scale: f32,
    causal: u32,
    window: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Elem>; // [q_rows, q_stride], head h from q_offset + h * HEAD_DIM
@group(0) @binding(2) var<storage, read> k: array<Elem>; // [k_rows, k_stride], its head from k_offset + ...
@group(0) @binding(3) var<storage, read> v: array<Elem>; // [k_rows, v_stride], its head from v_offset + ...
@group(0) @binding(4) var<storage, read> spans: array<u32>; // [sequences, 4] = q_start, q_len, k_start, k_len
@group(0) @binding(5) var<storage, read_write> y: array<Elem>; // [q_rows, heads, HEAD_DIM]

override LANES: u32 = 64;
override HEAD_DIM: u32 = 64;

const TILE: u32 = 32;
// Below every score, above every masked score; the difference of the two is finite.
const LOWEST: f32 = -1e38;
const MASKED: f32 = -3e38;

struct Tile {
    head: u32,
    q_first: u32, // row of q and y of the tile's first query
    rows: u32, // queries of the tile, 1 ..= TILE
    k_first: u32, // row of k and v of the sequence's first key
    k_len: i32,
    place: i32, // p of the tile's first query
}

// The keys from .. to - 1 that the queries i of the tile see, but for the key mask.
fn keys_from(tile: Tile, i: vec4<i32>) -> vec4<i32> {
    return clamp(tile.place + i + 1 - i32(params.window), vec4<i32>(0), vec4<i32>(tile.k_len));
}

fn keys_to(tile: Tile, i: vec4<i32>) -> vec4<i32> {
    let to = select(vec4<i32>(tile.k_len), tile.place + i + 1, params.causal != 0u);
    return clamp(to, vec4<i32>(0), vec4<i32>(tile.k_len));
}

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
    tile.head = index / params.tiles;
    var left = index % params.tiles;
    for (var s = 0u; s < params.sequences; s++) {
        let q_start = min(spans[4u * s], params.q_rows);
        let q_len = min(spans[4u * s + 1u], params.q_rows - q_start);
        let count = (q_len + TILE - 1u) / TILE;
        if left < count {
            let skip = left * TILE;
            tile.q_first = q_start + skip;
            tile.rows = min(q_len - skip, TILE);
            tile.k_first = min(spans[4u * s + 2u], params.k_rows);
            tile.k_len = i32(min(spans[4u * s + 3u], params.k_rows - tile.k_first));
            tile.place = i32(skip) + tile.k_len - i32(q_len);
            break;
        }
        left -= count;
    }
    if tile.rows == 0u {
        return;
    }
    attend(tile, lane);
}
