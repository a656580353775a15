// Brings the splits of attention_decode together. For sequence b and head h, over the splits s:
//
//     y[b, h] = sum_s exp2(peak_s - peak) sum_s / sum_s exp2(peak_s - peak) total_s,    peak = max_s peak_s
//
// and 0 where every total is 0 (no key was seen).
//
// One workgroup a head of a sequence; lanes stride over the dimensions, each walks the splits twice.
//
// Parts: elem (Elem)

struct Params {
    groups: u32,
    splits: u32,
    head_dim: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>; // [groups, splits, head_dim + 2] of (sum, peak, total)
@group(0) @binding(2) var<storage, read_write> y: array<Elem>; // [groups, head_dim]

override LANES: u32 = 64;

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
    let stride = params.head_dim + 2u;
    let first = index * params.splits * stride;
    let last = first + params.splits * stride;
    var peak = partials[first + params.head_dim];
    for (var at = first + stride; at < last; at += stride) {
        peak = max(peak, partials[at + params.head_dim]);
    }
    for (var d = lane; d < params.head_dim; d += LANES) {
        var sum = 0.0;
        var total = 0.0;
        for (var at = first; at < last; at += stride) {
            let scale = exp2(partials[at + params.head_dim] - peak);
            sum = fma(scale, partials[at + d], sum);
            total = fma(scale, partials[at + params.head_dim + 1u], total);
        }
        y[index * params.head_dim + d] = Elem(select(0.0, sum / total, total > 0.0));
    }
}
