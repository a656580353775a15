// Role attend: a tile of queries, for GPUs.
//
// 32 queries meet 32 keys at a time. LANES = 64 lanes stand in 8 x 8: lane (b, a) owns the queries 4b .. 4b + 3
// and, of the scores, the keys 4a .. 4a + 3; of the sums, the quads a, a + 8, a + 16, a + 24 of the dimensions.
// Blocks are 4 x 4: queries are the rows, keys or dimensions the columns. A block of keys takes
//   1. the scores: slices of 32 dimensions of q and k are staged in workgroup memory, transposed, and multiplied;
//   2. the softmax state: every lane posts the peaks of its block, then takes the largest of its queries';
//   3. the sums: weights go to workgroup memory, values follow in slices of 16 keys, and are multiplied.
// 13 KiB of workgroup memory. Relies on TILE = 32 and HEAD_DIM, VALUE_DIM <= 128.

var<workgroup> attend_stage: array<vec4<f32>, 512>;
var<workgroup> attend_weights: array<vec4<f32>, 256>; // [32 keys, 8], queries 4b .. 4b + 3
var<workgroup> attend_peaks: array<vec4<f32>, 64>; // [8 b, 8 a]

// sum + the outer product of x (rows) and z (columns).
fn attend_outer(sum: mat4x4<f32>, x: vec4<f32>, z: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        fma(x, vec4<f32>(z.x), sum[0]),
        fma(x, vec4<f32>(z.y), sum[1]),
        fma(x, vec4<f32>(z.z), sum[2]),
        fma(x, vec4<f32>(z.w), sum[3]),
    );
}

fn attend_scaled(block: mat4x4<f32>, scale: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(block[0] * scale, block[1] * scale, block[2] * scale, block[3] * scale);
}

// Dimension d of four queries, scaled; 0 beyond HEAD_DIM.
fn attend_q_column(at: vec4<u32>, d: u32) -> vec4<f32> {
    let last = vec4<u32>(min(d, HEAD_DIM - 1u)) + at;
    let column = vec4<f32>(f32(q[last.x]), f32(q[last.y]), f32(q[last.z]), f32(q[last.w]));
    return select(vec4<f32>(), column * params.scale, d < HEAD_DIM);
}

// Dimensions d .. d + 3 of four keys, a dimension a column.
fn attend_k_block(at: vec4<u32>, d: u32) -> mat4x4<f32> {
    return transpose(mat4x4<f32>(
        cache_k_quad(at.x, d, HEAD_DIM),
        cache_k_quad(at.y, d, HEAD_DIM),
        cache_k_quad(at.z, d, HEAD_DIM),
        cache_k_quad(at.w, d, HEAD_DIM),
    ));
}

// Scores of four queries and four keys; all lanes call it together.
fn attend_scores(q_at: vec4<u32>, k_at: vec4<u32>, a: u32, b: u32) -> mat4x4<f32> {
    var scores: mat4x4<f32>;
    for (var slice = 0u; slice < HEAD_DIM; slice += 32u) {
        workgroupBarrier();
        var keys = attend_k_block(k_at, slice + 4u * a);
        for (var c = 0u; c < 4u; c++) {
            // This lane stages four dimensions of q's rows 4b .. 4b + 3 and of k's rows 4b .. 4b + 3.
            attend_stage[(4u * a + c) * 8u + b] = attend_q_column(q_at, slice + 4u * a + c);
            attend_stage[256u + (4u * a + c) * 8u + b] = keys[c];
        }
        workgroupBarrier();
        for (var d = 0u; d < 32u; d++) {
            scores = attend_outer(scores, attend_stage[d * 8u + b], attend_stage[256u + d * 8u + a]);
        }
    }
    return scores;
}

fn attend_store(tile: Tile, i: u32, d: u32, quad: vec4<f32>) {
    if i >= tile.rows {
        return;
    }
    let at = (tile.q_first + i) * params.y_stride + tile.head * params.y_head;
    for (var c = 0u; c < min(4u, max(d, VALUE_DIM) - d); c++) {
        y[at + d + c] = Elem(quad[c]);
    }
}

fn attend(tile: Tile, lane: u32) {
    let a = lane % 8u;
    let b = lane / 8u;
    let four = vec4<u32>(0u, 1u, 2u, 3u);
    let i = 4u * b + four;
    let row = tile.q_first + min(i, vec4<u32>(tile.rows - 1u));
    let q_at = row * params.q_stride + params.q_offset + tile.head * params.q_head;
    let k_column = params.k_offset + tile.head / params.kv_group * params.k_head;
    let v_column = params.v_offset + tile.head / params.kv_group * params.v_head;
    let begin = keys_from(tile, vec4<i32>(0)).x;
    let end = keys_to(tile, vec4<i32>(i32(tile.rows) - 1)).x;
    let last = u32(max(tile.k_len, 1) - 1);
    let key_from = keys_from(tile, vec4<i32>(i));
    let key_to = keys_to(tile, vec4<i32>(i));
    let sink = sink_score(tile.head);
    var peak = vec4<f32>(sink);
    var total = vec4<f32>(select(0.0, 1.0, sink > LOWEST && a == 0u));
    var sums0: mat4x4<f32>; var sums1: mat4x4<f32>; var sums2: mat4x4<f32>; var sums3: mat4x4<f32>;
    for (var first = begin; first < end; first += 32) {
        // 1. Lane (b, a) stages keys 4b .. and scores keys 4a ..
        let k_rows = tile.k_first + min(u32(first) + 4u * b + four, vec4<u32>(last));
        var scores = attend_scores(q_at, k_rows * params.k_stride + k_column, a, b);
        // 2.
        var block_peak = vec4<f32>(LOWEST);
        for (var c = 0u; c < 4u; c++) {
            let key = u32(first) + 4u * a + c;
            let inside = (vec4<i32>(i32(key)) >= key_from) & (vec4<i32>(i32(key)) < key_to);
            scores[c] = select(vec4<f32>(MASKED), sight_score(tile, i, min(key, last), scores[c]), inside);
            block_peak = max(block_peak, scores[c]);
        }
        attend_peaks[lane] = block_peak;
        workgroupBarrier();
        var new_peak = peak;
        for (var other = 0u; other < 8u; other++) {
            new_peak = max(new_peak, attend_peaks[b * 8u + other]);
        }
        let scale = exp2(peak - new_peak);
        peak = new_peak;
        total *= scale;
        for (var c = 0u; c < 4u; c++) {
            let weight = exp2(scores[c] - peak);
            total += weight; // of this lane's keys only
            attend_weights[(4u * a + c) * 8u + b] = weight;
        }
        // 3.
        sums0 = attend_scaled(sums0, scale); sums1 = attend_scaled(sums1, scale);
        sums2 = attend_scaled(sums2, scale); sums3 = attend_scaled(sums3, scale);
        for (var slice = 0u; slice < 32u; slice += 16u) {
            workgroupBarrier();
            for (var n = lane; n < 512u; n += 64u) {
                let v_row = tile.k_first + min(u32(first) + slice + n / 32u, last);
                attend_stage[n] = cache_v_quad(v_row * params.v_stride + v_column, 4u * (n % 32u), VALUE_DIM);
            }
            workgroupBarrier();
            for (var n = 0u; n < 16u; n++) {
                let weights = attend_weights[(slice + n) * 8u + b];
                let at = n * 32u + a;
                sums0 = attend_outer(sums0, weights, attend_stage[at]);
                if VALUE_DIM > 32u { sums1 = attend_outer(sums1, weights, attend_stage[at + 8u]); }
                if VALUE_DIM > 64u { sums2 = attend_outer(sums2, weights, attend_stage[at + 16u]); }
                if VALUE_DIM > 96u { sums3 = attend_outer(sums3, weights, attend_stage[at + 24u]); }
            }
        }
    }
    attend_peaks[lane] = total;
    workgroupBarrier();
    total = vec4<f32>();
    for (var other = 0u; other < 8u; other++) {
        total += attend_peaks[b * 8u + other];
    }
    // A query that saw no key kept the lowest peak: its weights were those of masked keys.
    let share = select(vec4<f32>(), 1.0 / total, peak > vec4<f32>(LOWEST));
    for (var r = 0u; r < 4u; r++) {
        let part = share[r];
        attend_store(tile, i[r], 4u * a, part * vec4<f32>(sums0[0][r], sums0[1][r], sums0[2][r], sums0[3][r]));
        attend_store(tile, i[r], 4u * a + 32u, part * vec4<f32>(sums1[0][r], sums1[1][r], sums1[2][r], sums1[3][r]));
        attend_store(tile, i[r], 4u * a + 64u, part * vec4<f32>(sums2[0][r], sums2[1][r], sums2[2][r], sums2[3][r]));
        attend_store(tile, i[r], 4u * a + 96u, part * vec4<f32>(sums3[0][r], sums3[1][r], sums3[2][r], sums3[3][r]));
    }
}
