// Role octet: eight neighbouring elements of a key or value row, the same for every lane, as two quads.
// `at` is the row's first element, `d` the first of the eight; beyond HEAD_DIM of k and VALUE_DIM of v the last
// element is repeated.
//
// Lane i loads element i, and the subgroup shares them: one load in place of eight, where a load costs the same
// at one address as at eight. Relies on LANES = 8 and subgroups of at least 8 lanes; call in uniform control flow.

fn octet_k(at: u32, d: u32, lane: u32) -> mat2x4<f32> {
    return octet_share(f32(k[at + min(d + lane, HEAD_DIM - 1u)]));
}

fn octet_v(at: u32, d: u32, lane: u32) -> mat2x4<f32> {
    return octet_share(f32(v[at + min(d + lane, VALUE_DIM - 1u)]));
}

fn octet_share(x: f32) -> mat2x4<f32> {
    return mat2x4<f32>(
        subgroupBroadcast(x, 0u), subgroupBroadcast(x, 1u), subgroupBroadcast(x, 2u), subgroupBroadcast(x, 3u),
        subgroupBroadcast(x, 4u), subgroupBroadcast(x, 5u), subgroupBroadcast(x, 6u), subgroupBroadcast(x, 7u),
    );
}
