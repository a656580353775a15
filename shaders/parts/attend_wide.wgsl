// Role attend: a tile of queries with heads of any size, on any adapter. Contains barriers.
//
// Four queries of the tile at a time meet 64 keys at a time. Lane l scores key l, then all lanes bring the peaks and
// the weights of the 64 keys together, then a lane adds up every 64th dimension of the values. Nothing is
// staged: this is for heads that the other parts cannot hold. 2 KiB of workgroup memory and 16 bytes a
// dimension of a value: VALUE_DIM <= 896. Relies on LANES = 64.

var<workgroup> attend_sums: array<vec4<f32>, VALUE_DIM>; // dimension d belongs to lane d % 64
var<workgroup> attend_peaks: array<vec4<f32>, 64>;
var<workgroup> attend_weights: array<vec4<f32>, 64>;

fn attend_scores(q_at: vec4<u32>, k_at: u32) -> vec4<f32> {
    var scores = vec4<f32>();
    for (var d = 0u; d < HEAD_DIM; d++) {
        let column = vec4<f32>(f32(q[q_at.x + d]), f32(q[q_at.y + d]), f32(q[q_at.z + d]), f32(q[q_at.w + d]));
        scores = fma(column * params.scale, vec4<f32>(cache_k(k_at + d)), scores);
    }
    return scores;
}

fn attend_four(tile: Tile, four: u32, lane: u32) {
    let i = four + vec4<u32>(0u, 1u, 2u, 3u);
    let row = tile.q_first + min(i, vec4<u32>(tile.rows - 1u));
    let q_at = row * params.q_stride + params.q_offset + tile.head * params.q_head;
    let k_column = params.k_offset + tile.head / params.kv_group * params.k_head;
    let v_column = params.v_offset + tile.head / params.kv_group * params.v_head;
    let begin = keys_from(tile, vec4<i32>(i32(four))).x;
    let end = keys_to(tile, vec4<i32>(i32(min(four + 3u, tile.rows - 1u)))).x;
    let key_from = keys_from(tile, vec4<i32>(i));
    let key_to = keys_to(tile, vec4<i32>(i));
    let sink = sink_score(tile.head);
    var peak = vec4<f32>(sink);
    var total = vec4<f32>(select(0.0, 1.0, sink > LOWEST));
    for (var d = lane; d < VALUE_DIM; d += 64u) {
        attend_sums[d] = vec4<f32>();
    }
    for (var first = begin; first < end; first += 64) {
        let key = min(first + i32(lane), end - 1);
        let at = first + i32(lane);
        let inside = (vec4<i32>(at) >= key_from) & (vec4<i32>(at) < key_to) & vec4<bool>(at < end);
        let raw = attend_scores(q_at, (tile.k_first + u32(key)) * params.k_stride + k_column);
        let scores = select(vec4<f32>(MASKED), sight_score(tile, i, u32(key), raw), inside);
        workgroupBarrier();
        attend_peaks[lane] = scores;
        workgroupBarrier();
        var new_peak = peak;
        for (var n = 0u; n < 64u; n++) {
            new_peak = max(new_peak, attend_peaks[n]);
        }
        let scale = exp2(peak - new_peak);
        peak = new_peak;
        attend_weights[lane] = exp2(scores - peak);
        workgroupBarrier();
        var sum = vec4<f32>();
        for (var n = 0u; n < 64u; n++) {
            sum += attend_weights[n];
        }
        total = fma(total, scale, sum);
        let v_at = (tile.k_first + u32(first)) * params.v_stride + v_column;
        for (var d = lane; d < VALUE_DIM; d += 64u) {
            var value = attend_sums[d] * scale;
            for (var n = 0u; n < min(64u, u32(end - first)); n++) {
                value = fma(attend_weights[n], vec4<f32>(cache_v(v_at + n * params.v_stride + d)), value);
            }
            attend_sums[d] = value;
        }
    }
    // A query that saw no key kept the lowest peak: its weights were those of masked keys.
    let share = select(vec4<f32>(), 1.0 / total, peak > vec4<f32>(LOWEST));
    for (var d = lane; d < VALUE_DIM; d += 64u) {
        let values = attend_sums[d] * share;
        for (var r = 0u; r < min(4u, tile.rows - four); r++) {
            y[(tile.q_first + i[r]) * params.y_stride + tile.head * params.y_head + d] = Elem(values[r]);
        }
    }
}

fn attend(tile: Tile, lane: u32) {
    for (var four = 0u; four < tile.rows; four += 4u) {
        attend_four(tile, four, lane);
    }
}
