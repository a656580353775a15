// Routing of tokens to experts: the TOP largest scores of each row, in falling order, the lower index first of equal ones,
// and a weight for each:
//
//     softmax   p[e] = exp(x[e] - max) / sum of all exp(x - max)
//     sigmoid   p[e] = 1 / (1 + exp(-x[e]))
//     weight[s] = scale * p[experts[s]]             or, normalised, divided by the sum of the chosen ones
//
// One workgroup a row; lanes stride over the experts. Both scores grow with x, so x itself is compared.
//
// Parts: reduce (group_max, group_sum), best (order_key, group_best)

struct Params {
    rows: u32,
    cols: u32, // experts
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [rows, cols]
@group(0) @binding(2) var<storage, read_write> experts: array<u32>; // [rows, TOP]
@group(0) @binding(3) var<storage, read_write> weights: array<f32>; // [rows, TOP]

override LANES: u32 = 64;
override TOP: u32 = 2u;
override SIGMOID: u32 = 0u;
override NORMALISE: u32 = 1u;

fn score(value: f32, top: f32) -> f32 {
    if SIGMOID == 1u {
        return 1.0 / (1.0 + exp(min(-value, 88.0)));
    }
    return exp(value - top);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.x + group.y * groups.x;
    if row >= params.rows {
        return;
    }
    let first = row * params.cols;
    var high = -3e38;
    for (var e = lane; e < params.cols; e += LANES) {
        high = max(high, x[first + e]);
    }
    let top = group_max(high, lane);
    var sum = 0.0;
    for (var e = lane; e < params.cols; e += LANES) {
        sum += score(x[first + e], top);
    }
    let all = group_sum(sum, lane);
    // Each round takes the largest that comes after the one before, by (key, index).
    var before = vec2<u32>(0xffffffffu, 0u);
    var total = 0.0;
    for (var s = 0u; s < TOP; s++) {
        var key = 0u;
        var index = 0u;
        for (var e = lane; e < params.cols; e += LANES) {
            let k = order_key(x[first + e]);
            let after = k < before.x || (k == before.x && e > before.y);
            if after && k > key {
                key = k;
                index = e;
            }
        }
        before = group_best(key, index, lane);
        let value = score(x[first + before.y], top);
        total += value;
        if lane == 0u {
            experts[row * TOP + s] = before.y;
            weights[row * TOP + s] = value;
        }
    }
    let divisor = select(select(all, 1.0, SIGMOID == 1u), total, NORMALISE == 1u);
    if lane == 0u {
        for (var s = 0u; s < TOP; s++) {
            weights[row * TOP + s] = weights[row * TOP + s] / divisor * params.scale;
        }
    }
}
