// Role step: the row of words of one step of a walk, the same for every lane. step_row(step, lane) has SLOTS_ROW quads; what
// is beyond them is not to be used.
//
// For software adapters: lane i loads every eighth pair of words, 64 bits at a time, and the subgroup shares them. Relies on
// LANES = 8 and subgroups of exactly 8 lanes; call in uniform control flow.

@group(0) @binding(3) var<storage, read> steps: array<u64>; // [steps, 2 SLOTS_ROW]

struct Row {
    a: vec4<i32>,
    b: vec4<i32>,
    c: vec4<i32>,
    d: vec4<i32>,
    e: vec4<i32>,
    f: vec4<i32>,
    g: vec4<i32>,
    h: vec4<i32>,
    i: vec4<i32>,
}

// Two words of the row: pair `at`, or its last.
fn step_pair(step: u32, at: u32) -> vec2<i32> {
    let pair = steps[step * 2u * SLOTS_ROW + min(at, 2u * SLOTS_ROW - 1u)];
    return vec2<i32>(i32(u32(pair)), i32(u32(pair >> 32u)));
}

fn step_row(step: u32, lane: u32) -> Row {
    let p = step_pair(step, lane);
    let q = step_pair(step, 8u + lane);
    let r = step_pair(step, 16u + lane);
    return Row(
        vec4<i32>(subgroupBroadcast(p, 0u), subgroupBroadcast(p, 1u)),
        vec4<i32>(subgroupBroadcast(p, 2u), subgroupBroadcast(p, 3u)),
        vec4<i32>(subgroupBroadcast(p, 4u), subgroupBroadcast(p, 5u)),
        vec4<i32>(subgroupBroadcast(p, 6u), subgroupBroadcast(p, 7u)),
        vec4<i32>(subgroupBroadcast(q, 0u), subgroupBroadcast(q, 1u)),
        vec4<i32>(subgroupBroadcast(q, 2u), subgroupBroadcast(q, 3u)),
        vec4<i32>(subgroupBroadcast(q, 4u), subgroupBroadcast(q, 5u)),
        vec4<i32>(subgroupBroadcast(q, 6u), subgroupBroadcast(q, 7u)),
        vec4<i32>(subgroupBroadcast(r, 0u), subgroupBroadcast(r, 1u)),
    );
}
