// The scores of attention in memory, for models that return them and for looking into one. With s_j the scaled
// product of query i and key j, of sequence s and head h:
//
//     STAGE 0   y[s, h, i, j] = s_j
//     STAGE 1   softcap * tanh(s_j / softcap)
//     STAGE 2   the score as attention has it: capped, biased, masked; `hidden` for a key that is not seen
//     STAGE 3   its weight exp(score_j) / (sum_n exp(score_n) + exp(sink[h])), 0 for a key that is not seen
//
// Queries beyond their span see no key. Stages 0 and 1 do not ask what is seen: they take every key of the tensor,
// and are 0 beyond its end.
//
// One workgroup a row of y; a lane takes every LANES-th key. y is bound as words, since WGSL may take infinities for
// absent. Weights are powers of two, so `scale` comes multiplied by log2(e).
//
// Parts: elem (Elem), sight (Tile, sight_score), mask, score (for sight), sink (sink_score), reduce (group_max,
// group_sum)

struct Params {
    q_rows: u32, // of head 0
    k_rows: u32, // of head 0
    sequences: u32,
    queries: u32,
    keys: u32,
    heads: u32,
    kv_group: u32,
    q_stride: u32, // elements from row to row
    k_stride: u32,
    q_head: u32, // elements from head to head
    k_head: u32,
    q_offset: u32,
    k_offset: u32,
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
    hidden: u32, // f32 bits, minus infinity may be among them
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Elem>; // rows of q_stride
@group(0) @binding(2) var<storage, read> k: array<Elem>; // rows of k_stride
@group(0) @binding(3) var<storage, read> spans: array<u32>; // [sequences, 4] = q_start, q_len, k_start, k_len
@group(0) @binding(4) var<storage, read_write> y: array<u32>; // f32 bits, [sequences, heads, queries, keys]

override LANES: u32 = 64;
override HEAD_DIM: u32 = 64;
override STAGE: u32 = 2;

const LN_2: f32 = 0.6931471805599453;

fn scaled_product(tile: Tile, j: u32) -> f32 {
    let q_at = tile.q_first * params.q_stride + params.q_offset + tile.head * params.q_head;
    let k_at = (tile.k_first + j) * params.k_stride + params.k_offset + tile.head / params.kv_group * params.k_head;
    var sum = 0.0;
    for (var d = 0u; d < HEAD_DIM; d++) {
        sum = fma(f32(q[q_at + d]) * params.scale, f32(k[k_at + d]), sum);
    }
    return sum;
}

// The stage's value of key j in units of log2(e); MASKED where it is not seen.
fn value_of(tile: Tile, j: u32) -> f32 {
    if tile.rows == 0u || tile.k_first + j >= params.k_rows {
        return MASKED;
    }
    let s = vec4<f32>(scaled_product(tile, j));
    if STAGE == 0u {
        return s.x;
    }
    if STAGE == 1u {
        return sight_cap(s).x;
    }
    let begin = keys_from(tile, vec4<i32>()).x;
    let end = keys_to(tile, vec4<i32>()).x;
    let score = sight_score(tile, vec4<u32>(), j, s).x;
    return select(MASKED, score, i32(j) >= begin && i32(j) < end);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.x + group.y * groups.x;
    if row >= params.sequences * params.heads * params.queries {
        return;
    }
    let head = row / params.queries % params.heads;
    let tile = sight_tile(row / params.queries / params.heads, head, row % params.queries, 1u);
    var peak = LOWEST;
    var total = 0.0;
    for (var j = lane; j < params.keys; j += LANES) {
        let value = value_of(tile, j);
        let hidden = value <= LOWEST;
        if STAGE == 3u {
            let new_peak = max(peak, value);
            total = fma(total, exp2(peak - new_peak), select(exp2(value - new_peak), 0.0, hidden));
            peak = new_peak;
            y[row * params.keys + j] = bitcast<u32>(value);
        } else {
            let bits = select(0u, params.hidden, STAGE == 2u);
            y[row * params.keys + j] = select(bitcast<u32>(value * LN_2), bits, hidden);
        }
    }
    if STAGE == 3u {
        let sink = sink_score(head);
        let row_peak = max(group_max(peak, lane), sink);
        total = group_sum(total * exp2(peak - row_peak), lane);
        total += select(0.0, exp2(sink - row_peak), sink > LOWEST);
        let share = select(0.0, 1.0 / total, row_peak > LOWEST);
        for (var j = lane; j < params.keys; j += LANES) {
            // What this lane wrote above.
            let value = bitcast<f32>(y[row * params.keys + j]);
            y[row * params.keys + j] = bitcast<u32>(select(exp2(value - row_peak) * share, 0.0, value <= LOWEST));
        }
    }
}
