// The k largest or smallest items along the middle axis, in order, with their indices:
//
//     values[o, r, i] = x[o, ids[o, r, i], i], the item of rank r; of equal items the one of lower index comes first
//
// The override SMALLEST asks for the smallest items. The role first says how lanes share the lines (o, i) of a workgroup.
// Each lane holds the best of its own cells of a line that was not chosen yet. k times a tree finds the best of the
// line; then only the lane it came from looks through its cells again.
//
// Parts: elem (Elem, the activation type), key (Item, item_key), first (COLS, group_first, before)

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

// The first entry among the cells of a slice.
fn slice_first(base: u32, slice: u32) -> vec3<u32> {
    var best = FIRST_NONE;
    for (var j = slice; j < params.count; j += LANES / COLS) {
        let other = entry(x[base + j * params.inner], j);
        if before(other, best) {
            best = other;
        }
    }
    return best;
}

// The first entry among the cells of a slice that comes after `chosen`.
fn slice_next(base: u32, slice: u32, chosen: vec3<u32>) -> vec3<u32> {
    var best = FIRST_NONE;
    for (var j = slice; j < params.count; j += LANES / COLS) {
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
    let lines = params.outer * params.inner;
    let first_line = (group.x + group.y * groups.x) * COLS;
    if first_line >= lines {
        return;
    }
    let line = min(first_line + lane % COLS, lines - 1u);
    let outer = line / params.inner;
    let inner = line % params.inner;
    let base = outer * params.count * params.inner + inner;
    let slice = lane / COLS;
    var best = slice_first(base, slice);
    for (var rank = 0u; rank < params.k; rank++) {
        let chosen = group_first(best, lane);
        if lane < COLS && first_line + lane < lines {
            let to = (outer * params.k + rank) * params.inner + inner;
            values[to] = x[base + min(chosen.z, params.count - 1u) * params.inner];
            ids[to] = chosen.z;
        }
        if chosen.z % (LANES / COLS) == slice {
            best = slice_next(base, slice, chosen);
        }
    }
}
