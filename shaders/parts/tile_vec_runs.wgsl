// Role tile for one row times weights in blocks, for software adapters with subgroups of exactly 8 lanes (lavapipe).
//
// Each lane keeps four neighbouring columns and takes 64 values of each at a time (role products), so that a word with
// several codes and the scales of a block are loaded and unpacked once. Lane i of the subgroup loads quads i and i + 8 of
// sixteen, and the others get them by subgroupBroadcast. Columns beyond the end repeat the last one; quads beyond the
// end are zero.

const TILE_ROWS = 1u;
const LANES = 8u;
const TILE_COLS = 4u * LANES;

fn tile_quad(row: u32, quad: u32) -> vec4<f32> {
    let quads = params.inner / 4u;
    return select(vec4<f32>(), x_quad(row, min(quad, quads - 1u)), quad < quads);
}

fn tile_product(row: u32, col: u32, lane: u32) {
    // The index within the subgroup, of which every lane is active here.
    let sub = subgroupExclusiveAdd(1u);
    let n = col + 4u * lane;
    let c = min(vec4<u32>(n, n + 1u, n + 2u, n + 3u), vec4<u32>(params.chunk_cols - 1u));
    var sums = vec4<f32>();
    for (var run = 0u; run < (params.inner + 63u) / 64u; run++) {
        let p = tile_quad(row, 16u * run + sub);
        let q = tile_quad(row, 16u * run + 8u + sub);
        let x0 = mat4x4<f32>(
            subgroupBroadcast(p, 0u), subgroupBroadcast(p, 1u), subgroupBroadcast(p, 2u), subgroupBroadcast(p, 3u));
        let x1 = mat4x4<f32>(
            subgroupBroadcast(p, 4u), subgroupBroadcast(p, 5u), subgroupBroadcast(p, 6u), subgroupBroadcast(p, 7u));
        let x2 = mat4x4<f32>(
            subgroupBroadcast(q, 0u), subgroupBroadcast(q, 1u), subgroupBroadcast(q, 2u), subgroupBroadcast(q, 3u));
        let x3 = mat4x4<f32>(
            subgroupBroadcast(q, 4u), subgroupBroadcast(q, 5u), subgroupBroadcast(q, 6u), subgroupBroadcast(q, 7u));
        sums += w_products(run, sub, c, x0, x1, x2, x3);
    }
    finish(row, n, sums);
}
