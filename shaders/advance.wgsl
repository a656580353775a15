// After sampling: what the next decode step needs, row by row and without the host.
//
//     tokens = id, history[steps] = id, seen bit of id = 1, steps += 1
//     positions += 1, lens += 1, slots += 1        while the row has room, lens < max_len
//
// A row without room stays where it is and its slot becomes u32 max, which kv_append skips; so does a slot that
// already is u32 max.
//
// One lane a row.
//
// Parts: none

struct Params {
    rows: u32,
    max_len: u32,
    seen_cols: u32,
    max_new: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>; // [rows]
@group(0) @binding(2) var<storage, read_write> tokens: array<u32>; // [rows]
@group(0) @binding(3) var<storage, read_write> positions: array<u32>; // [rows]
@group(0) @binding(4) var<storage, read_write> lens: array<u32>; // [rows]
@group(0) @binding(5) var<storage, read_write> slots: array<u32>; // [rows]
@group(0) @binding(6) var<storage, read_write> steps: array<u32>; // [rows]
@group(0) @binding(7) var<storage, read_write> seen: array<u32>; // [rows, seen_cols]
@group(0) @binding(8) var<storage, read_write> history: array<u32>; // [rows, max_new]

override LANES: u32 = 64;

const NOWHERE: u32 = 0xffffffffu;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = (group.x + group.y * groups.x) * LANES + lane;
    if row >= params.rows {
        return;
    }
    let id = ids[row];
    tokens[row] = id;
    let step = steps[row];
    if step < params.max_new {
        history[row * params.max_new + step] = id;
    }
    steps[row] = step + 1u;
    let word = id / 32u;
    if word < params.seen_cols {
        seen[row * params.seen_cols + word] |= 1u << (id % 32u);
    }
    let slot = slots[row];
    if lens[row] < params.max_len {
        positions[row] += 1u;
        lens[row] += 1u;
        slots[row] = select(slot + 1u, NOWHERE, slot == NOWHERE);
    } else {
        slots[row] = NOWHERE;
    }
}
