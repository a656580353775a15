// Attention of one new query a sequence against its cache, in splits of the keys. For sequence b, head h and
// split s, over the split's keys j, with x_j = scale * dot(q[b, h], k_cache[b, j, h / kv_group]):
//
//     peak = max_j x_j,   total = sum_j exp2(x_j - peak),   sum = sum_j exp2(x_j - peak) v_cache[b, j, h / kv_group]
//     partials[b, h, s] = (sum, peak, total)
//
// attention_merge brings the splits together. `scale` comes multiplied by log2(e). A split without keys has a sum of
// 0, a peak of LOWEST and a total of 0. The length is read here, so that one program serves every step: the seen keys
// are dealt out evenly in multiples of BLOCK, and late splits of a short sequence are empty.
//
// One workgroup a split. LANES = 64 lanes stand in 8 x 8: lane (b, a) works on every eighth key from b and on the quads
// a, a + 8, a + 16, a + 24 of its dimensions. Up to BLOCK keys at a time: lanes post their shares of the scores, then
// lane l brings the scores 4l .. 4l + 3 together and posts their weights. 9.5 KiB of workgroup memory.
//
// Parts: elem (Elem), reduce (group_max, group_sum)

struct Params {
    groups: u32,
    heads: u32,
    kv_group: u32,
    splits: u32,
    max_len: u32,
    q_stride: u32,
    q_offset: u32,
    kv_stride: u32,
    scale: f32,
    window: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Elem>; // [batch, q_stride], head h from q_offset + h * HEAD_DIM
@group(0) @binding(2) var<storage, read> k_cache: array<Elem>; // [batch, max_len, kv_stride]
@group(0) @binding(3) var<storage, read> v_cache: array<Elem>; // [batch, max_len, kv_stride]
@group(0) @binding(4) var<storage, read> lens: array<u32>; // [batch], keys that are valid
@group(0) @binding(5) var<storage, read_write> partials: array<f32>; // [batch, heads, splits, HEAD_DIM + 2]

override LANES: u32 = 64;
override HEAD_DIM: u32 = 64;

const BLOCK: u32 = 256;
const LOWEST: f32 = -1e38;

var<workgroup> shares: array<f32, 2048>; // [BLOCK keys, 8 a]; at the end the sums, [8 b, 128]
var<workgroup> weights: array<f32, 256>;

fn q_quad(at: u32, d: u32) -> vec4<f32> {
    let i = at + min(vec4<u32>(d, d + 1u, d + 2u, d + 3u), vec4<u32>(HEAD_DIM - 1u));
    let quad = vec4<f32>(f32(q[i.x]), f32(q[i.y]), f32(q[i.z]), f32(q[i.w])) * params.scale;
    return select(vec4<f32>(), quad, vec4<u32>(d, d + 1u, d + 2u, d + 3u) < vec4<u32>(HEAD_DIM));
}

fn k_quad(at: u32, d: u32) -> vec4<f32> {
    let i = at + min(vec4<u32>(d, d + 1u, d + 2u, d + 3u), vec4<u32>(HEAD_DIM - 1u));
    return vec4<f32>(f32(k_cache[i.x]), f32(k_cache[i.y]), f32(k_cache[i.z]), f32(k_cache[i.w]));
}

fn v_quad(at: u32, d: u32) -> vec4<f32> {
    let i = at + min(vec4<u32>(d, d + 1u, d + 2u, d + 3u), vec4<u32>(HEAD_DIM - 1u));
    return vec4<f32>(f32(v_cache[i.x]), f32(v_cache[i.y]), f32(v_cache[i.z]), f32(v_cache[i.w]));
}

fn post(lane: u32, c: u32, sum: vec4<f32>) {
    let at = lane / 8u * 128u + 4u * (lane % 8u) + 32u * c;
    if 32u * c < HEAD_DIM {
        shares[at] = sum.x;
        shares[at + 1u] = sum.y;
        shares[at + 2u] = sum.z;
        shares[at + 3u] = sum.w;
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group.x + group.y * groups.x;
    if index >= params.groups {
        return;
    }
    let split = index % params.splits;
    let head = index / params.splits % params.heads;
    let batch = index / params.splits / params.heads;
    let len = min(lens[batch], params.max_len);
    let seen = min(len, params.window);
    let chunk = (seen + params.splits * BLOCK - 1u) / (params.splits * BLOCK) * BLOCK;
    let begin = min(len - seen + split * chunk, len);
    let end = min(begin + chunk, len);

    let d = 4u * (lane % 8u);
    let q_at = batch * params.q_stride + params.q_offset + head * HEAD_DIM;
    let q0 = q_quad(q_at, d); let q1 = q_quad(q_at, d + 32u);
    let q2 = q_quad(q_at, d + 64u); let q3 = q_quad(q_at, d + 96u);
    let kv_at = batch * params.max_len * params.kv_stride + head / params.kv_group * HEAD_DIM;
    var peak = LOWEST;
    var total = 0.0; // of this lane's weights only
    var sum0 = vec4<f32>(); var sum1 = vec4<f32>(); var sum2 = vec4<f32>(); var sum3 = vec4<f32>();
    for (var first = begin; first < end; first += BLOCK) {
        let count = min(end - first, BLOCK);
        for (var n = lane / 8u; n < count; n += 8u) {
            let at = kv_at + (first + n) * params.kv_stride;
            var share = dot(q0, k_quad(at, d));
            if HEAD_DIM > 32u { share += dot(q1, k_quad(at, d + 32u)); }
            if HEAD_DIM > 64u { share += dot(q2, k_quad(at, d + 64u)); }
            if HEAD_DIM > 96u { share += dot(q3, k_quad(at, d + 96u)); }
            shares[n * 8u + lane % 8u] = share;
        }
        workgroupBarrier();
        var scores = vec4<f32>(LOWEST);
        for (var c = 0u; c < 4u; c++) {
            let n = 4u * lane + c;
            if n < count {
                var score = 0.0;
                for (var a = 0u; a < 8u; a++) {
                    score += shares[n * 8u + a];
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
                weights[n] = weight;
            }
        }
        workgroupBarrier();
        sum0 *= scale; sum1 *= scale; sum2 *= scale; sum3 *= scale;
        for (var n = lane / 8u; n < count; n += 8u) {
            let at = kv_at + (first + n) * params.kv_stride;
            let weight = vec4<f32>(weights[n]);
            sum0 = fma(weight, v_quad(at, d), sum0);
            if HEAD_DIM > 32u { sum1 = fma(weight, v_quad(at, d + 32u), sum1); }
            if HEAD_DIM > 64u { sum2 = fma(weight, v_quad(at, d + 64u), sum2); }
            if HEAD_DIM > 96u { sum3 = fma(weight, v_quad(at, d + 96u), sum3); }
        }
        workgroupBarrier();
    }
    total = group_sum(total, lane);
    post(lane, 0u, sum0); post(lane, 1u, sum1); post(lane, 2u, sum2); post(lane, 3u, sum3);
    workgroupBarrier();
    let to = index * (HEAD_DIM + 2u);
    for (var column = lane; column < HEAD_DIM; column += LANES) {
        var sum = 0.0;
        for (var b = 0u; b < 8u; b++) {
            sum += shares[b * 128u + column];
        }
        partials[to + column] = sum;
    }
    if lane == 0u {
        partials[to + HEAD_DIM] = peak;
        partials[to + HEAD_DIM + 1u] = total;
    }
}
