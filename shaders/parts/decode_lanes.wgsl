// Role decode: one split, for adapters that run a workgroup as one vector unit of a CPU.
//
// LANES = 8 lanes each take every eighth key with a softmax state of their own: no exchange until the end, when the
// states meet in workgroup memory. Registers hold the query and the sums; the lines beyond HEAD_DIM fall away.
// 4.1 KiB of workgroup memory. HEAD_DIM <= 128.

// Below every score; its distance to LOWEST is finite.
const DECODE_MASKED: f32 = -3e38;

var<workgroup> decode_sums: array<f32, 1024>; // [8 lanes, 128]
var<workgroup> decode_states: array<vec2<f32>, 8>; // peak, total

fn decode_q(at: u32, d: u32) -> vec4<f32> {
    let i = at + min(vec4<u32>(d, d + 1u, d + 2u, d + 3u), vec4<u32>(HEAD_DIM - 1u));
    let quad = vec4<f32>(f32(q[i.x]), f32(q[i.y]), f32(q[i.z]), f32(q[i.w])) * params.scale;
    return select(vec4<f32>(), quad, vec4<u32>(d, d + 1u, d + 2u, d + 3u) < vec4<u32>(HEAD_DIM));
}

fn decode_post(lane: u32, d: u32, sum: vec4<f32>) {
    if d < HEAD_DIM {
        let at = lane * 128u + d;
        decode_sums[at] = sum.x;
        decode_sums[at + 1u] = sum.y;
        decode_sums[at + 2u] = sum.z;
        decode_sums[at + 3u] = sum.w;
    }
}

fn decode_add(sum: vec4<f32>, scale: f32, weight: f32, at: u32, d: u32) -> vec4<f32> {
    return fma(vec4<f32>(weight), cache_v_quad(at, d, HEAD_DIM), sum * scale);
}

fn decode(work: Split, lane: u32) {
    var q: array<vec4<f32>, 32>; // constant indices only: q and sums are registers
    var sums: array<vec4<f32>, 32>;
    q[0] = decode_q(work.q_at, 0u); q[1] = decode_q(work.q_at, 4u); q[2] = decode_q(work.q_at, 8u); q[3] = decode_q(work.q_at, 12u);
    q[4] = decode_q(work.q_at, 16u); q[5] = decode_q(work.q_at, 20u); q[6] = decode_q(work.q_at, 24u); q[7] = decode_q(work.q_at, 28u);
    q[8] = decode_q(work.q_at, 32u); q[9] = decode_q(work.q_at, 36u); q[10] = decode_q(work.q_at, 40u); q[11] = decode_q(work.q_at, 44u);
    q[12] = decode_q(work.q_at, 48u); q[13] = decode_q(work.q_at, 52u); q[14] = decode_q(work.q_at, 56u); q[15] = decode_q(work.q_at, 60u);
    q[16] = decode_q(work.q_at, 64u); q[17] = decode_q(work.q_at, 68u); q[18] = decode_q(work.q_at, 72u); q[19] = decode_q(work.q_at, 76u);
    q[20] = decode_q(work.q_at, 80u); q[21] = decode_q(work.q_at, 84u); q[22] = decode_q(work.q_at, 88u); q[23] = decode_q(work.q_at, 92u);
    q[24] = decode_q(work.q_at, 96u); q[25] = decode_q(work.q_at, 100u); q[26] = decode_q(work.q_at, 104u); q[27] = decode_q(work.q_at, 108u);
    q[28] = decode_q(work.q_at, 112u); q[29] = decode_q(work.q_at, 116u); q[30] = decode_q(work.q_at, 120u); q[31] = decode_q(work.q_at, 124u);
    var peak = LOWEST;
    var total = 0.0;
    for (var first = work.begin; first < work.end; first += LANES) {
        let key = min(first + lane, work.end - 1u);
        let at = work.kv_at + key * params.kv_stride;
        var score = vec4<f32>();
        if HEAD_DIM > 0u { score = fma(q[0], cache_k_quad(at, 0u, HEAD_DIM), fma(q[1], cache_k_quad(at, 4u, HEAD_DIM), score)); }
        if HEAD_DIM > 8u { score = fma(q[2], cache_k_quad(at, 8u, HEAD_DIM), fma(q[3], cache_k_quad(at, 12u, HEAD_DIM), score)); }
        if HEAD_DIM > 16u { score = fma(q[4], cache_k_quad(at, 16u, HEAD_DIM), fma(q[5], cache_k_quad(at, 20u, HEAD_DIM), score)); }
        if HEAD_DIM > 24u { score = fma(q[6], cache_k_quad(at, 24u, HEAD_DIM), fma(q[7], cache_k_quad(at, 28u, HEAD_DIM), score)); }
        if HEAD_DIM > 32u { score = fma(q[8], cache_k_quad(at, 32u, HEAD_DIM), fma(q[9], cache_k_quad(at, 36u, HEAD_DIM), score)); }
        if HEAD_DIM > 40u { score = fma(q[10], cache_k_quad(at, 40u, HEAD_DIM), fma(q[11], cache_k_quad(at, 44u, HEAD_DIM), score)); }
        if HEAD_DIM > 48u { score = fma(q[12], cache_k_quad(at, 48u, HEAD_DIM), fma(q[13], cache_k_quad(at, 52u, HEAD_DIM), score)); }
        if HEAD_DIM > 56u { score = fma(q[14], cache_k_quad(at, 56u, HEAD_DIM), fma(q[15], cache_k_quad(at, 60u, HEAD_DIM), score)); }
        if HEAD_DIM > 64u { score = fma(q[16], cache_k_quad(at, 64u, HEAD_DIM), fma(q[17], cache_k_quad(at, 68u, HEAD_DIM), score)); }
        if HEAD_DIM > 72u { score = fma(q[18], cache_k_quad(at, 72u, HEAD_DIM), fma(q[19], cache_k_quad(at, 76u, HEAD_DIM), score)); }
        if HEAD_DIM > 80u { score = fma(q[20], cache_k_quad(at, 80u, HEAD_DIM), fma(q[21], cache_k_quad(at, 84u, HEAD_DIM), score)); }
        if HEAD_DIM > 88u { score = fma(q[22], cache_k_quad(at, 88u, HEAD_DIM), fma(q[23], cache_k_quad(at, 92u, HEAD_DIM), score)); }
        if HEAD_DIM > 96u { score = fma(q[24], cache_k_quad(at, 96u, HEAD_DIM), fma(q[25], cache_k_quad(at, 100u, HEAD_DIM), score)); }
        if HEAD_DIM > 104u { score = fma(q[26], cache_k_quad(at, 104u, HEAD_DIM), fma(q[27], cache_k_quad(at, 108u, HEAD_DIM), score)); }
        if HEAD_DIM > 112u { score = fma(q[28], cache_k_quad(at, 112u, HEAD_DIM), fma(q[29], cache_k_quad(at, 116u, HEAD_DIM), score)); }
        if HEAD_DIM > 120u { score = fma(q[30], cache_k_quad(at, 120u, HEAD_DIM), fma(q[31], cache_k_quad(at, 124u, HEAD_DIM), score)); }
        let x = select(DECODE_MASKED, score.x + score.y + score.z + score.w, first + lane < work.end);
        let new_peak = max(peak, x);
        let scale = exp2(peak - new_peak);
        let weight = exp2(x - new_peak);
        peak = new_peak;
        total = fma(total, scale, weight);
        if HEAD_DIM > 0u { sums[0] = decode_add(sums[0], scale, weight, at, 0u); sums[1] = decode_add(sums[1], scale, weight, at, 4u); }
        if HEAD_DIM > 8u { sums[2] = decode_add(sums[2], scale, weight, at, 8u); sums[3] = decode_add(sums[3], scale, weight, at, 12u); }
        if HEAD_DIM > 16u { sums[4] = decode_add(sums[4], scale, weight, at, 16u); sums[5] = decode_add(sums[5], scale, weight, at, 20u); }
        if HEAD_DIM > 24u { sums[6] = decode_add(sums[6], scale, weight, at, 24u); sums[7] = decode_add(sums[7], scale, weight, at, 28u); }
        if HEAD_DIM > 32u { sums[8] = decode_add(sums[8], scale, weight, at, 32u); sums[9] = decode_add(sums[9], scale, weight, at, 36u); }
        if HEAD_DIM > 40u { sums[10] = decode_add(sums[10], scale, weight, at, 40u); sums[11] = decode_add(sums[11], scale, weight, at, 44u); }
        if HEAD_DIM > 48u { sums[12] = decode_add(sums[12], scale, weight, at, 48u); sums[13] = decode_add(sums[13], scale, weight, at, 52u); }
        if HEAD_DIM > 56u { sums[14] = decode_add(sums[14], scale, weight, at, 56u); sums[15] = decode_add(sums[15], scale, weight, at, 60u); }
        if HEAD_DIM > 64u { sums[16] = decode_add(sums[16], scale, weight, at, 64u); sums[17] = decode_add(sums[17], scale, weight, at, 68u); }
        if HEAD_DIM > 72u { sums[18] = decode_add(sums[18], scale, weight, at, 72u); sums[19] = decode_add(sums[19], scale, weight, at, 76u); }
        if HEAD_DIM > 80u { sums[20] = decode_add(sums[20], scale, weight, at, 80u); sums[21] = decode_add(sums[21], scale, weight, at, 84u); }
        if HEAD_DIM > 88u { sums[22] = decode_add(sums[22], scale, weight, at, 88u); sums[23] = decode_add(sums[23], scale, weight, at, 92u); }
        if HEAD_DIM > 96u { sums[24] = decode_add(sums[24], scale, weight, at, 96u); sums[25] = decode_add(sums[25], scale, weight, at, 100u); }
        if HEAD_DIM > 104u { sums[26] = decode_add(sums[26], scale, weight, at, 104u); sums[27] = decode_add(sums[27], scale, weight, at, 108u); }
        if HEAD_DIM > 112u { sums[28] = decode_add(sums[28], scale, weight, at, 112u); sums[29] = decode_add(sums[29], scale, weight, at, 116u); }
        if HEAD_DIM > 120u { sums[30] = decode_add(sums[30], scale, weight, at, 120u); sums[31] = decode_add(sums[31], scale, weight, at, 124u); }
    }
    decode_post(lane, 0u, sums[0]); decode_post(lane, 4u, sums[1]);
    decode_post(lane, 8u, sums[2]); decode_post(lane, 12u, sums[3]);
    decode_post(lane, 16u, sums[4]); decode_post(lane, 20u, sums[5]);
    decode_post(lane, 24u, sums[6]); decode_post(lane, 28u, sums[7]);
    decode_post(lane, 32u, sums[8]); decode_post(lane, 36u, sums[9]);
    decode_post(lane, 40u, sums[10]); decode_post(lane, 44u, sums[11]);
    decode_post(lane, 48u, sums[12]); decode_post(lane, 52u, sums[13]);
    decode_post(lane, 56u, sums[14]); decode_post(lane, 60u, sums[15]);
    decode_post(lane, 64u, sums[16]); decode_post(lane, 68u, sums[17]);
    decode_post(lane, 72u, sums[18]); decode_post(lane, 76u, sums[19]);
    decode_post(lane, 80u, sums[20]); decode_post(lane, 84u, sums[21]);
    decode_post(lane, 88u, sums[22]); decode_post(lane, 92u, sums[23]);
    decode_post(lane, 96u, sums[24]); decode_post(lane, 100u, sums[25]);
    decode_post(lane, 104u, sums[26]); decode_post(lane, 108u, sums[27]);
    decode_post(lane, 112u, sums[28]); decode_post(lane, 116u, sums[29]);
    decode_post(lane, 120u, sums[30]); decode_post(lane, 124u, sums[31]);
    decode_states[lane] = vec2<f32>(peak, total);
    workgroupBarrier();
    peak = LOWEST;
    for (var other = 0u; other < LANES; other++) {
        peak = max(peak, decode_states[other].x);
    }
    for (var column = lane; column < HEAD_DIM; column += LANES) {
        var sum = 0.0;
        for (var other = 0u; other < LANES; other++) {
            sum = fma(exp2(decode_states[other].x - peak), decode_sums[other * 128u + column], sum);
        }
        partials[work.to + column] = sum;
    }
    total = 0.0;
    for (var other = 0u; other < LANES; other++) {
        total = fma(exp2(decode_states[other].x - peak), decode_states[other].y, total);
    }
    if lane == 0u {
        partials[work.to + HEAD_DIM] = peak;
        partials[work.to + HEAD_DIM + 1u] = total;
    }
}
