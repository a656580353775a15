// Role tile for one row, for software adapters with subgroups of exactly 8 lanes (lavapipe).
//
// Each lane keeps four neighbouring columns. Loads are what costs there: lane i of the subgroup loads quad i of
// eight, and the others get it by subgroupBroadcast. Columns beyond the end repeat the last one; quads
// beyond the end count zero times the last one.

const TILE_ROWS = 1u;
const LANES = 8u;
const TILE_COLS = 4u * LANES;

fn tile_dots(b: vec4<f32>, quad: u32, n: u32) -> vec4<f32> {
    let q = min(quad, (params.inner + 3u) / 4u - 1u);
    let last = params.chunk_cols - 1u;
    return vec4<f32>(
        dot(b, w_quad(q, min(n, last))),
        dot(b, w_quad(q, min(n + 1u, last))),
        dot(b, w_quad(q, min(n + 2u, last))),
        dot(b, w_quad(q, min(n + 3u, last))),
    );
}

fn tile_product(row: u32, col: u32, lane: u32) {
    // The index within the subgroup, of which every lane is active here.
    let sub = subgroupExclusiveAdd(1u);
    let quads = (params.inner + 3u) / 4u;
    let n = col + 4u * lane;
    var sums = vec4<f32>();
    for (var first = 0u; first < quads; first += 8u) {
        let mine = first + sub;
        let b = select(vec4<f32>(), x_quad(row, min(mine, quads - 1u)), mine < quads);
        sums += tile_dots(subgroupBroadcast(b, 0u), first, n);
        sums += tile_dots(subgroupBroadcast(b, 1u), first + 1u, n);
        sums += tile_dots(subgroupBroadcast(b, 2u), first + 2u, n);
        sums += tile_dots(subgroupBroadcast(b, 3u), first + 3u, n);
        sums += tile_dots(subgroupBroadcast(b, 4u), first + 4u, n);
        sums += tile_dots(subgroupBroadcast(b, 5u), first + 5u, n);
        sums += tile_dots(subgroupBroadcast(b, 6u), first + 6u, n);
        sums += tile_dots(subgroupBroadcast(b, 7u), first + 7u, n);
    }
    finish(row, n, sums);
}
