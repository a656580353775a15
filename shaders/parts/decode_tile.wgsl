// Role decode: one split, for GPUs.
//
// LANES = 64 lanes stand in 8 x 8: lane (b, a) works on every eighth key from b and on the quads a, a + 8, a + 16,
// a + 24 of its dimensions. Up to BLOCK keys at a time: lanes post their shares of the scores, then lane l brings the
// scores 4l .. 4l + 3 together and posts their weights. 9.5 KiB of workgroup memory. HEAD_DIM <= 128.

var<workgroup> decode_shares: array<f32, 2048>; // [BLOCK keys, 8 a]; at the end the sums, [8 b, 128]
var<workgroup> decode_weights: array<f32, 256>;

fn decode_q(at: u32, d: u32) -> vec4<f32> {
    let i = at + min(vec4<u32>(d, d + 1u, d + 2u, d + 3u), vec4<u32>(HEAD_DIM - 1u));
    let quad = vec4<f32>(f32(q[i.x]), f32(q[i.y]), f32(q[i.z]), f32(q[i.w])) * params.scale;
    return select(vec4<f32>(), quad, vec4<u32>(d, d + 1u, d + 2u, d + 3u) < vec4<u32>(HEAD_DIM));
}

fn decode_post(lane: u32, c: u32, sum: vec4<f32>) {
    let at = lane / 8u * 128u + 4u * (lane % 8u) + 32u * c;
    if 32u * c < HEAD_DIM {
        decode_shares[at] = sum.x;
        decode_shares[at + 1u] = sum.y;
        decode_shares[at + 2u] = sum.z;
        decode_shares[at + 3u] = sum.w;
    }
}

fn decode(work: Split, lane: u32) {
    let d = 4u * (lane % 8u);
    let q0 = decode_q(work.q_at, d); let q1 = decode_q(work.q_at, d + 32u);
    let q2 = decode_q(work.q_at, d + 64u); let q3 = decode_q(work.q_at, d + 96u);
    var peak = LOWEST;
    var total = 0.0; // of this lane's weights only
    var sum0 = vec4<f32>(); var sum1 = vec4<f32>(); var sum2 = vec4<f32>(); var sum3 = vec4<f32>();
    for (var first = work.begin; first < work.end; first += BLOCK) {
        let count = min(work.end - first, BLOCK);
        for (var n = lane / 8u; n < count; n += 8u) {
            let at = work.kv_at + (first + n) * params.kv_stride;
            var share = dot(q0, cache_k_quad(at, d, HEAD_DIM));
            if HEAD_DIM > 32u { share += dot(q1, cache_k_quad(at, d + 32u, HEAD_DIM)); }
            if HEAD_DIM > 64u { share += dot(q2, cache_k_quad(at, d + 64u, HEAD_DIM)); }
            if HEAD_DIM > 96u { share += dot(q3, cache_k_quad(at, d + 96u, HEAD_DIM)); }
            decode_shares[n * 8u + lane % 8u] = share;
        }
        workgroupBarrier();
        var scores = vec4<f32>(LOWEST);
        for (var c = 0u; c < 4u; c++) {
            let n = 4u * lane + c;
            if n < count {
                var score = 0.0;
                for (var a = 0u; a < 8u; a++) {
                    score += decode_shares[n * 8u + a];
                }
                scores[c] = score;
            }
        }
        let new_peak = max(peak, group_max(max(max(scores.x, scores.y), max(scores.z, scores.w)), lane));
        let scale = exp2(peak - new_peak);
        peak = new_peak;
        total *= scale;
        for (var c = 0u; c < 4u; c++) {
            let n = 4u * lane + c;
            if n < count {
                let weight = exp2(scores[c] - peak);
                total += weight;
                decode_weights[n] = weight;
            }
        }
        workgroupBarrier();
        sum0 *= scale; sum1 *= scale; sum2 *= scale; sum3 *= scale;
        for (var n = lane / 8u; n < count; n += 8u) {
            let at = work.kv_at + (first + n) * params.kv_stride;
            let weight = vec4<f32>(decode_weights[n]);
            sum0 = fma(weight, cache_v_quad(at, d, HEAD_DIM), sum0);
            if HEAD_DIM > 32u { sum1 = fma(weight, cache_v_quad(at, d + 32u, HEAD_DIM), sum1); }
            if HEAD_DIM > 64u { sum2 = fma(weight, cache_v_quad(at, d + 64u, HEAD_DIM), sum2); }
            if HEAD_DIM > 96u { sum3 = fma(weight, cache_v_quad(at, d + 96u, HEAD_DIM), sum3); }
        }
        workgroupBarrier();
    }
    total = group_sum(total, lane);
    decode_post(lane, 0u, sum0); decode_post(lane, 1u, sum1); decode_post(lane, 2u, sum2); decode_post(lane, 3u, sum3);
    workgroupBarrier();
    for (var column = lane; column < HEAD_DIM; column += LANES) {
        var sum = 0.0;
        for (var b = 0u; b < 8u; b++) {
            sum += decode_shares[b * 128u + column];
        }
        partials[work.to + column] = sum;
    }
    if lane == 0u {
        partials[work.to + HEAD_DIM] = peak;
        partials[work.to + HEAD_DIM + 1u] = total;
    }
}
