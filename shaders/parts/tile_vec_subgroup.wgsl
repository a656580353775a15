// Role tile for one row, for software adapters with subgroups of exactly 8 lanes (lavapipe).
//
// Each lane keeps four times four columns, 32 apart, so that every step along k reads 128 columns that are neighbours in
// memory before it goes on to the next place far away. Lane i of the subgroup loads quad i of eight, and the others get it
// by subgroupShuffle. Columns beyond the end repeat the last one; quads beyond the end count zero times the last one.

const TILE_ROWS = 1u;
const LANES = 8u;
const TILE_COLS = 16u * LANES;

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
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var first = 0u; first < quads; first += 8u) {
        let mine = first + sub;
        let x = select(vec4<f32>(), x_quad(row, min(mine, quads - 1u)), mine < quads);
        for (var i = 0u; i < 8u; i++) {
            let b = vec4<f32>(
                subgroupShuffle(x.x, i), subgroupShuffle(x.y, i), subgroupShuffle(x.z, i), subgroupShuffle(x.w, i));
            s0 += tile_dots(b, first + i, n);
            s1 += tile_dots(b, first + i, n + 32u);
            s2 += tile_dots(b, first + i, n + 64u);
            s3 += tile_dots(b, first + i, n + 96u);
        }
    }
    finish(row, n, s0);
    finish(row, n + 32u, s1);
    finish(row, n + 64u, s2);
    finish(row, n + 96u, s3);
}
