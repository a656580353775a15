// Role lookup: a table of 16 floats in the lanes of a subgroup of exactly 8: lane i has entries i and i + 8, and every lane
// gets those of its own codes. A register where a load from memory would be a loop over lanes.

fn lane_table(codes: vec4<u32>, table: vec2<f32>) -> vec4<f32> {
    let i = codes & vec4<u32>(7u);
    let low = vec4<f32>(
        subgroupShuffle(table.x, i.x),
        subgroupShuffle(table.x, i.y),
        subgroupShuffle(table.x, i.z),
        subgroupShuffle(table.x, i.w),
    );
    let high = vec4<f32>(
        subgroupShuffle(table.y, i.x),
        subgroupShuffle(table.y, i.y),
        subgroupShuffle(table.y, i.z),
        subgroupShuffle(table.y, i.w),
    );
    return select(low, high, codes > vec4<u32>(7u));
}
