// The k largest or smallest items along the middle axis, in order, with their indices:
//
//     values[o, r, i] = x[o, ids[o, r, i], i], the item of rank r; of equal items the one of lower index comes first
//
// The override SMALLEST asks for the smallest items. One workgroup a line (o, i). Each lane holds the best of its
// own cells, LANES apart, that was not chosen yet. k times a tree finds the best of the workgroup; then only the
// lane it came from looks through its cells again.
//
// Parts: elem (Elem, the activation type), key (Item, item_key), first (group_first, before)

struct Params {
    outer: u32,
    count: u32,
    inner: u32,
    k: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Item>; // [outer, count, inner]
@group(0) @binding(2) var<storage, read_write> values: array<Item>; // [outer, k, inner]
@group(0) @binding(3) var<storage, read_write> ids: array<u32>; // [outer, k, inner]

override LANES: u32 = 64;
override SMALLEST: u32 = 0u;

fn entry(item: Item, j: u32) -> vec3<u32> {
    let key = item_key(item);
    return vec3<u32>(select(~key, key, SMALLEST == 1u), j);
}

// The first entry among the cells of a lane.
fn lane_first(base: u32, lane: u32) -> vec3<u32> {
    var best = FIRST_NONE;
    for (var j = lane; j < params.count; j += LANES) {
        let other = entry(x[base + j * params.inner], j);
        if before(other, best) {
            best = other;
        }
    }
    return best;
}

// The first entry among the cells of a lane that comes after `chosen`.
fn lane_next(base: u32, lane: u32, chosen: vec3<u32>) -> vec3<u32> {
    var best = FIRST_NONE;
    for (var j = lane; j < params.count; j += LANES) {
        let other = entry(x[base + j * params.inner], j);
        if before(chosen, other) && before(other, best) {
            best = other;
        }
    }
    return best;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let line = group.x + group.y * groups.x;
    if line >= params.outer * params.inner {
        return;
    }
    let outer = line / params.inner;
    let inner = line % params.inner;
    let base = outer * params.count * params.inner + inner;
    var best = lane_first(base, lane);
    for (var rank = 0u; rank < params.k; rank++) {
        let chosen = group_first(best, lane);
        if lane == 0u {
            let to = (outer * params.k + rank) * params.inner + inner;
            values[to] = x[base + min(chosen.z, params.count - 1u) * params.inner];
            ids[to] = chosen.z;
        }
        if chosen.z % LANES == lane {
            best = lane_next(base, lane, chosen);
        }
    }
}
