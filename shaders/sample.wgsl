// One token a row, drawn from softmax(logits / temperature) after a repetition penalty, cut to the top k, then to
// the top p of the mass, then to p >= min_p of the best; the best token itself where the temperature is 0.
//
// All decisions after the penalty (one f32 product a seen token) are made in integers, so that they are the same
// on every adapter:
//
//     z[i] = (max_j q[j] - q[i]) * log2(e) / temperature     octaves below the best, in steps of 2^-16,
//                                                            q the logit in steps of 2^-16
//     w[i] = 2^(31 - z[i])                                   by a polynomial in fixed point; 0 from 31 octaves on
//
// Tokens are ordered by (z, index). Each cut, and the draw, is the first token of that order at which a running
// sum (of 1 or of w) reaches a target. The draw's target is random of (seed, step).
//
// One workgroup a row; lanes stride over the vocabulary in every pass.
//
// Parts: elem (Elem, the activation type), reduce (group_sum, group_max), best (order_key, group_best),
//        wide (mul_high, wide_*), weight (weight), search (mass, search), random (random_words)

struct Params {
    rows: u32,
    cols: u32,
    seen_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<Elem>; // [rows, cols]
@group(0) @binding(2) var<storage, read> seen: array<u32>; // [rows, seen_cols], bit i % 32 of word i / 32
@group(0) @binding(3) var<storage, read> settings: array<Settings>; // [rows]
@group(0) @binding(4) var<storage, read> steps: array<u32>; // [rows]
@group(0) @binding(5) var<storage, read_write> ids: array<u32>; // [rows]
@group(0) @binding(6) var<storage, read_write> logprob: array<f32>; // [rows], of the raw logits

struct Settings {
    scale: u32, // log2(e) / temperature in steps of 2^-20; 0 takes the best token
    top_k: u32, // 0 keeps all
    top_p: u32, // in steps of 2^-32; 0 keeps all
    depth: u32, // largest z that min_p keeps
    penalty: f32,
    inverse: f32, // 1 / penalty
    seed_low: u32,
    seed_high: u32,
}

override LANES: u32 = 64;

const DEEPEST: u32 = 2031615u; // 31 octaves, less a step

struct Row {
    logits: u32, // first element
    seen: u32, // first word
    scale: u32,
    penalty: f32,
    inverse: f32,
    top: i32, // max q
}

fn penalized(row: Row, i: u32) -> f32 {
    let value = f32(logits[row.logits + i]);
    let hit = (seen[row.seen + i / 32u] >> (i % 32u)) & 1u;
    return select(value, value * select(row.penalty, row.inverse, value > 0.0), hit == 1u);
}

fn quantized(value: f32) -> i32 {
    return i32(clamp(value, -32767.0, 32767.0) * 65536.0);
}

fn depth_of(row: Row, i: u32) -> u32 {
    let below = bitcast<u32>(row.top - quantized(penalized(row, i)));
    let high = mul_high(below, row.scale);
    return select(0xffffffffu, (high << 12u) | ((below * row.scale) >> 20u), high < 512u);
}

fn draw(row: Row, wish: Settings, step: u32, lane: u32) -> u32 {
    search_start(lane);
    var limit = DEEPEST;
    if wish.top_k != 0u {
        limit = min(limit, search(row, limit, vec2<u32>(wish.top_k, 0u), true, false, lane).z);
    }
    var total = mass(row, limit, lane);
    if wish.top_p != 0u {
        let cut = search(row, limit, wide_share(total, wish.top_p), false, false, lane);
        limit = min(limit, cut.z);
        total = cut.upto;
    }
    if wish.depth < DEEPEST {
        limit = min(limit, wish.depth);
        total = mass(row, limit, lane);
    }
    let random = random_words(vec4<u32>(step, 0u, 0u, 0u), vec2<u32>(wish.seed_low, wish.seed_high)).x;
    let goal = wide_add(wide_share(total, random), vec2<u32>(1u, 0u));
    return min(search(row, limit, goal, false, true, lane).index, params.cols - 1u);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let r = group.x + group.y * groups.x;
    if r >= params.rows {
        return;
    }
    let wish = settings[r];
    var row = Row(r * params.cols, r * params.seen_cols, wish.scale, wish.penalty, wish.inverse, 0);
    var key = 0u;
    var index = params.cols - 1u;
    var largest = -3.4e38;
    for (var i = lane; i < params.cols; i += LANES) {
        largest = max(largest, f32(logits[row.logits + i]));
        let k = order_key(penalized(row, i));
        if k > key {
            key = k;
            index = i;
        }
    }
    let best = group_best(key, index, lane).y;
    row.top = quantized(penalized(row, best));
    let highest = group_max(largest, lane);
    var terms = 0.0;
    for (var i = lane; i < params.cols; i += LANES) {
        terms += exp(f32(logits[row.logits + i]) - highest);
    }
    let sum = group_sum(terms, lane);
    var id = best;
    if wish.scale != 0u {
        id = draw(row, wish, steps[r], lane);
    }
    if lane == 0u {
        ids[r] = id;
        logprob[r] = f32(logits[row.logits + id]) - highest - log(sum);
    }
}
