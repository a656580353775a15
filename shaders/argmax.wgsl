// Index of the largest or smallest item along the middle axis:
//
//     ids[o, i] = the j of the largest x[o, j, i]; of equal items the lowest j
//
// The override SMALLEST asks for the smallest item, LAST for the highest j of equal ones. The role first says how lanes
// share the lines (o, i) of a workgroup. Lanes stride over j with entries (key, index), ordered so that the wanted one
// is the first; a tree compares them.
//
// Parts: elem (Elem, the activation type), key (Item, item_key), first (COLS, group_first, before)

struct Params {
    outer: u32,
    count: u32,
    inner: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Item>; // [outer, count, inner]
@group(0) @binding(2) var<storage, read_write> ids: array<u32>; // [outer, inner]

override LANES: u32 = 64;
override SMALLEST: u32 = 0u;
override LAST: u32 = 0u;

fn entry(item: Item, j: u32) -> vec3<u32> {
    let key = item_key(item);
    return vec3<u32>(select(~key, key, SMALLEST == 1u), select(j, ~j, LAST == 1u));
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
    let base = line / params.inner * params.count * params.inner + line % params.inner;
    var best = FIRST_NONE;
    for (var j = lane / COLS; j < params.count; j += LANES / COLS) {
        let other = entry(x[base + j * params.inner], j);
        if before(other, best) {
            best = other;
        }
    }
    let found = group_first(best, lane).z;
    if lane < COLS && first_line + lane < lines {
        ids[line] = select(found, ~found, LAST == 1u);
    }
}
