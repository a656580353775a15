// Attention of one new query a sequence against its cache, in splits of the keys. For sequence b, head h and
// split s, over the split's keys j, with x_j = scale * dot(q[b, h], k[b, j, h / kv_group]):
//
//     peak = max_j x_j,   total = sum_j exp2(x_j - peak),   sum = sum_j exp2(x_j - peak) v[b, j, h / kv_group]
//     partials[b, h, s] = (sum, peak, total)
//
// attention_merge brings the splits together. `scale` comes multiplied by log2(e). A split without keys has a sum of
// 0, a peak of LOWEST and a total of 0. The length is read here, so that one program serves every step: the seen keys
// are dealt out evenly in multiples of BLOCK, and late splits of a short sequence are empty.
//
// One workgroup a split.
//
// Parts: elem (Elem), cache (KvCell, cache_k, cache_v and their quads), decode (decode), reduce (group_max, group_sum; for decode_tile only)

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
@group(0) @binding(2) var<storage, read> k: array<KvCell>; // [batch, max_len, kv_stride]
@group(0) @binding(3) var<storage, read> v: array<KvCell>; // [batch, max_len, kv_stride]
@group(0) @binding(4) var<storage, read> lens: array<u32>; // [batch], keys that are valid
@group(0) @binding(5) var<storage, read_write> partials: array<f32>; // [batch, heads, splits, HEAD_DIM + 2]

override LANES: u32 = 64;
override HEAD_DIM: u32 = 64;

const BLOCK: u32 = 256;
const LOWEST: f32 = -1e38;

struct Split {
    q_at: u32, // element of q at which the head starts
    kv_at: u32, // value of the caches at which the sequence's first key and value of the head start
    begin: u32, // the keys begin .. end - 1
    end: u32,
    to: u32, // element of partials at which the split's row starts
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
    var work: Split;
    work.q_at = batch * params.q_stride + params.q_offset + head * HEAD_DIM;
    work.kv_at = batch * params.max_len * params.kv_stride + head / params.kv_group * HEAD_DIM;
    work.begin = min(len - seen + split * chunk, len);
    work.end = min(work.begin + chunk, len);
    work.to = index * (HEAD_DIM + 2u);
    decode(work, lane);
}
