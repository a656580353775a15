// Role step: the row of words of one step of a walk, the same for every lane. step_row(step, lane) has SLOTS_ROW quads; what
// is beyond them is not to be used.
//
// For software adapters: lane i loads quad i, and the subgroup shares them. Relies on LANES = 8 and subgroups of exactly 8
// lanes; call in uniform control flow.

@group(0) @binding(3) var<storage, read> steps: array<vec4<i32>>; // [steps, SLOTS_ROW]

fn step_row(step: u32, lane: u32) -> Row {
    let quads = steps[step * SLOTS_ROW + min(lane, SLOTS_ROW - 1u)];
    var last: vec4<i32>;
    if SLOTS_ROW > 8u {
        last = steps[step * SLOTS_ROW + 8u];
    }
    return Row(
        subgroupBroadcast(quads, 0u),
        subgroupBroadcast(quads, 1u),
        subgroupBroadcast(quads, 2u),
        subgroupBroadcast(quads, 3u),
        subgroupBroadcast(quads, 4u),
        subgroupBroadcast(quads, 5u),
        subgroupBroadcast(quads, 6u),
        subgroupBroadcast(quads, 7u),
        last,
    );
}
