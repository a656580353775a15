// Role tile, for software adapters with subgroups of exactly 8 lanes (lavapipe).
//
// A tile is TILE_ROWS x 4 LANES: each lane keeps four neighbouring columns of every row, one vec4 a row. Where
// a load is a loop over lanes, loads are what costs: lane i of a subgroup loads x of row i, and the others get
// it by subgroupBroadcast, so that one load serves eight rows; TILE_ROWS (8, 16, 24 or 32) and the columns
// spread what remains over 16 TILE_ROWS multiply-adds. Rows and columns beyond the end repeat the last one.

override TILE_ROWS: u32 = 32u;
const LANES = 8u;
const TILE_COLS = 4u * LANES;

// a + b . w, w as columns of four k each
fn tile_madd(a: vec4<f32>, b: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {
    return fma(b.wwww, w[3], fma(b.zzzz, w[2], fma(b.yyyy, w[1], fma(b.xxxx, w[0], a))));
}

fn tile_product(row: u32, col: u32, lane: u32) {
    // The index within the subgroup, of which every lane is active here.
    let sub = subgroupExclusiveAdd(1u);
    let last_row = params.rows - 1u;
    let last_col = params.chunk_cols - 1u;
    let n = col + 4u * lane;
    var a0 = vec4<f32>(); var a1 = vec4<f32>(); var a2 = vec4<f32>(); var a3 = vec4<f32>();
    var a4 = vec4<f32>(); var a5 = vec4<f32>(); var a6 = vec4<f32>(); var a7 = vec4<f32>();
    var a8 = vec4<f32>(); var a9 = vec4<f32>(); var a10 = vec4<f32>(); var a11 = vec4<f32>();
    var a12 = vec4<f32>(); var a13 = vec4<f32>(); var a14 = vec4<f32>(); var a15 = vec4<f32>();
    var a16 = vec4<f32>(); var a17 = vec4<f32>(); var a18 = vec4<f32>(); var a19 = vec4<f32>();
    var a20 = vec4<f32>(); var a21 = vec4<f32>(); var a22 = vec4<f32>(); var a23 = vec4<f32>();
    var a24 = vec4<f32>(); var a25 = vec4<f32>(); var a26 = vec4<f32>(); var a27 = vec4<f32>();
    var a28 = vec4<f32>(); var a29 = vec4<f32>(); var a30 = vec4<f32>(); var a31 = vec4<f32>();
    for (var quad = 0u; quad < (params.inner + 3u) / 4u; quad++) {
        let w = transpose(mat4x4<f32>(
            w_quad(quad, min(n, last_col)),
            w_quad(quad, min(n + 1u, last_col)),
            w_quad(quad, min(n + 2u, last_col)),
            w_quad(quad, min(n + 3u, last_col)),
        ));
        let x0 = x_quad(min(row + 0u + sub, last_row), quad);
        a0 = tile_madd(a0, subgroupBroadcast(x0, 0u), w);
        a1 = tile_madd(a1, subgroupBroadcast(x0, 1u), w);
        a2 = tile_madd(a2, subgroupBroadcast(x0, 2u), w);
        a3 = tile_madd(a3, subgroupBroadcast(x0, 3u), w);
        a4 = tile_madd(a4, subgroupBroadcast(x0, 4u), w);
        a5 = tile_madd(a5, subgroupBroadcast(x0, 5u), w);
        a6 = tile_madd(a6, subgroupBroadcast(x0, 6u), w);
        a7 = tile_madd(a7, subgroupBroadcast(x0, 7u), w);
        if TILE_ROWS > 8u {
            let x1 = x_quad(min(row + 8u + sub, last_row), quad);
            a8 = tile_madd(a8, subgroupBroadcast(x1, 0u), w);
            a9 = tile_madd(a9, subgroupBroadcast(x1, 1u), w);
            a10 = tile_madd(a10, subgroupBroadcast(x1, 2u), w);
            a11 = tile_madd(a11, subgroupBroadcast(x1, 3u), w);
            a12 = tile_madd(a12, subgroupBroadcast(x1, 4u), w);
            a13 = tile_madd(a13, subgroupBroadcast(x1, 5u), w);
            a14 = tile_madd(a14, subgroupBroadcast(x1, 6u), w);
            a15 = tile_madd(a15, subgroupBroadcast(x1, 7u), w);
        }
        if TILE_ROWS > 16u {
            let x2 = x_quad(min(row + 16u + sub, last_row), quad);
            a16 = tile_madd(a16, subgroupBroadcast(x2, 0u), w);
            a17 = tile_madd(a17, subgroupBroadcast(x2, 1u), w);
            a18 = tile_madd(a18, subgroupBroadcast(x2, 2u), w);
            a19 = tile_madd(a19, subgroupBroadcast(x2, 3u), w);
            a20 = tile_madd(a20, subgroupBroadcast(x2, 4u), w);
            a21 = tile_madd(a21, subgroupBroadcast(x2, 5u), w);
            a22 = tile_madd(a22, subgroupBroadcast(x2, 6u), w);
            a23 = tile_madd(a23, subgroupBroadcast(x2, 7u), w);
        }
        if TILE_ROWS > 24u {
            let x3 = x_quad(min(row + 24u + sub, last_row), quad);
            a24 = tile_madd(a24, subgroupBroadcast(x3, 0u), w);
            a25 = tile_madd(a25, subgroupBroadcast(x3, 1u), w);
            a26 = tile_madd(a26, subgroupBroadcast(x3, 2u), w);
            a27 = tile_madd(a27, subgroupBroadcast(x3, 3u), w);
            a28 = tile_madd(a28, subgroupBroadcast(x3, 4u), w);
            a29 = tile_madd(a29, subgroupBroadcast(x3, 5u), w);
            a30 = tile_madd(a30, subgroupBroadcast(x3, 6u), w);
            a31 = tile_madd(a31, subgroupBroadcast(x3, 7u), w);
        }
    }
    finish(row + 0u, n, a0);
    finish(row + 1u, n, a1);
    finish(row + 2u, n, a2);
    finish(row + 3u, n, a3);
    finish(row + 4u, n, a4);
    finish(row + 5u, n, a5);
    finish(row + 6u, n, a6);
    finish(row + 7u, n, a7);
    if TILE_ROWS > 8u {
        finish(row + 8u, n, a8);
        finish(row + 9u, n, a9);
        finish(row + 10u, n, a10);
        finish(row + 11u, n, a11);
        finish(row + 12u, n, a12);
        finish(row + 13u, n, a13);
        finish(row + 14u, n, a14);
        finish(row + 15u, n, a15);
    }
    if TILE_ROWS > 16u {
        finish(row + 16u, n, a16);
        finish(row + 17u, n, a17);
        finish(row + 18u, n, a18);
        finish(row + 19u, n, a19);
        finish(row + 20u, n, a20);
        finish(row + 21u, n, a21);
        finish(row + 22u, n, a22);
        finish(row + 23u, n, a23);
    }
    if TILE_ROWS > 24u {
        finish(row + 24u, n, a24);
        finish(row + 25u, n, a25);
        finish(row + 26u, n, a26);
        finish(row + 27u, n, a27);
        finish(row + 28u, n, a28);
        finish(row + 29u, n, a29);
        finish(row + 30u, n, a30);
        finish(row + 31u, n, a31);
    }
}
