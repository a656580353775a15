// Role tile, for software adapters with subgroups of exactly 8 lanes (lavapipe).
//
// A tile is TILE_ROWS x 64: each lane keeps eight neighbouring columns of every row, a mat2x4 a row. Where a
// load is a loop over lanes, loads are what costs: lane i of a subgroup loads x of row i, and the others get
// it by subgroupBroadcast, so that one load serves eight rows. With 32 rows, 12 loads serve 1024 multiply-adds
// a lane. TILE_ROWS is 8, 16, 24 or 32. Rows and columns beyond the end repeat the last one.

override TILE_ROWS: u32 = 32u;
const LANES = 8u;
const TILE_COLS = 8u * LANES;

var<workgroup> tile_sums: array<vec4<f32>, 2u * TILE_ROWS * LANES>;

// a + b . w, w as columns of four k each
fn tile_half(a: vec4<f32>, b: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {
    return fma(b.wwww, w[3], fma(b.zzzz, w[2], fma(b.yyyy, w[1], fma(b.xxxx, w[0], a))));
}

fn tile_madd(a: mat2x4<f32>, b: vec4<f32>, v: mat4x4<f32>, w: mat4x4<f32>) -> mat2x4<f32> {
    return mat2x4<f32>(tile_half(a[0], b, v), tile_half(a[1], b, w));
}

fn tile_weights(quad: u32, n: u32) -> mat4x4<f32> {
    let last = params.chunk_cols - 1u;
    return transpose(mat4x4<f32>(
        w_quad(quad, min(n, last)),
        w_quad(quad, min(n + 1u, last)),
        w_quad(quad, min(n + 2u, last)),
        w_quad(quad, min(n + 3u, last)),
    ));
}

fn tile_keep(row: u32, lane: u32, a: mat2x4<f32>) {
    tile_sums[2u * row * LANES + lane] = a[0];
    tile_sums[(2u * row + 1u) * LANES + lane] = a[1];
}

fn tile_product(row: u32, col: u32, lane: u32) {
    // The index within the subgroup, of which every lane is active here.
    let sub = subgroupExclusiveAdd(1u);
    let last_row = params.rows - 1u;
    let n = col + 8u * lane;
    var a0 = mat2x4<f32>(); var a1 = mat2x4<f32>(); var a2 = mat2x4<f32>(); var a3 = mat2x4<f32>();
    var a4 = mat2x4<f32>(); var a5 = mat2x4<f32>(); var a6 = mat2x4<f32>(); var a7 = mat2x4<f32>();
    var a8 = mat2x4<f32>(); var a9 = mat2x4<f32>(); var a10 = mat2x4<f32>(); var a11 = mat2x4<f32>();
    var a12 = mat2x4<f32>(); var a13 = mat2x4<f32>(); var a14 = mat2x4<f32>(); var a15 = mat2x4<f32>();
    var a16 = mat2x4<f32>(); var a17 = mat2x4<f32>(); var a18 = mat2x4<f32>(); var a19 = mat2x4<f32>();
    var a20 = mat2x4<f32>(); var a21 = mat2x4<f32>(); var a22 = mat2x4<f32>(); var a23 = mat2x4<f32>();
    var a24 = mat2x4<f32>(); var a25 = mat2x4<f32>(); var a26 = mat2x4<f32>(); var a27 = mat2x4<f32>();
    var a28 = mat2x4<f32>(); var a29 = mat2x4<f32>(); var a30 = mat2x4<f32>(); var a31 = mat2x4<f32>();
    for (var quad = 0u; quad < (params.inner + 3u) / 4u; quad++) {
        let v = tile_weights(quad, n);
        let w = tile_weights(quad, n + 4u);
        let x0 = x_quad(min(row + sub, last_row), quad);
        a0 = tile_madd(a0, subgroupBroadcast(x0, 0u), v, w);
        a1 = tile_madd(a1, subgroupBroadcast(x0, 1u), v, w);
        a2 = tile_madd(a2, subgroupBroadcast(x0, 2u), v, w);
        a3 = tile_madd(a3, subgroupBroadcast(x0, 3u), v, w);
        a4 = tile_madd(a4, subgroupBroadcast(x0, 4u), v, w);
        a5 = tile_madd(a5, subgroupBroadcast(x0, 5u), v, w);
        a6 = tile_madd(a6, subgroupBroadcast(x0, 6u), v, w);
        a7 = tile_madd(a7, subgroupBroadcast(x0, 7u), v, w);
        if TILE_ROWS > 8u {
            let x1 = x_quad(min(row + 8u + sub, last_row), quad);
            a8 = tile_madd(a8, subgroupBroadcast(x1, 0u), v, w);
            a9 = tile_madd(a9, subgroupBroadcast(x1, 1u), v, w);
            a10 = tile_madd(a10, subgroupBroadcast(x1, 2u), v, w);
            a11 = tile_madd(a11, subgroupBroadcast(x1, 3u), v, w);
            a12 = tile_madd(a12, subgroupBroadcast(x1, 4u), v, w);
            a13 = tile_madd(a13, subgroupBroadcast(x1, 5u), v, w);
            a14 = tile_madd(a14, subgroupBroadcast(x1, 6u), v, w);
            a15 = tile_madd(a15, subgroupBroadcast(x1, 7u), v, w);
        }
        if TILE_ROWS > 16u {
            let x2 = x_quad(min(row + 16u + sub, last_row), quad);
            a16 = tile_madd(a16, subgroupBroadcast(x2, 0u), v, w);
            a17 = tile_madd(a17, subgroupBroadcast(x2, 1u), v, w);
            a18 = tile_madd(a18, subgroupBroadcast(x2, 2u), v, w);
            a19 = tile_madd(a19, subgroupBroadcast(x2, 3u), v, w);
            a20 = tile_madd(a20, subgroupBroadcast(x2, 4u), v, w);
            a21 = tile_madd(a21, subgroupBroadcast(x2, 5u), v, w);
            a22 = tile_madd(a22, subgroupBroadcast(x2, 6u), v, w);
            a23 = tile_madd(a23, subgroupBroadcast(x2, 7u), v, w);
        }
        if TILE_ROWS > 24u {
            let x3 = x_quad(min(row + 24u + sub, last_row), quad);
            a24 = tile_madd(a24, subgroupBroadcast(x3, 0u), v, w);
            a25 = tile_madd(a25, subgroupBroadcast(x3, 1u), v, w);
            a26 = tile_madd(a26, subgroupBroadcast(x3, 2u), v, w);
            a27 = tile_madd(a27, subgroupBroadcast(x3, 3u), v, w);
            a28 = tile_madd(a28, subgroupBroadcast(x3, 4u), v, w);
            a29 = tile_madd(a29, subgroupBroadcast(x3, 5u), v, w);
            a30 = tile_madd(a30, subgroupBroadcast(x3, 6u), v, w);
            a31 = tile_madd(a31, subgroupBroadcast(x3, 7u), v, w);
        }
    }
    // Through memory and a loop, so that the epilogue is compiled twice and not 64 times. A lane reads only what
    // it wrote, so no barrier is needed.
    tile_keep(0u, lane, a0);
    tile_keep(1u, lane, a1);
    tile_keep(2u, lane, a2);
    tile_keep(3u, lane, a3);
    tile_keep(4u, lane, a4);
    tile_keep(5u, lane, a5);
    tile_keep(6u, lane, a6);
    tile_keep(7u, lane, a7);
    if TILE_ROWS > 8u {
        tile_keep(8u, lane, a8);
        tile_keep(9u, lane, a9);
        tile_keep(10u, lane, a10);
        tile_keep(11u, lane, a11);
        tile_keep(12u, lane, a12);
        tile_keep(13u, lane, a13);
        tile_keep(14u, lane, a14);
        tile_keep(15u, lane, a15);
    }
    if TILE_ROWS > 16u {
        tile_keep(16u, lane, a16);
        tile_keep(17u, lane, a17);
        tile_keep(18u, lane, a18);
        tile_keep(19u, lane, a19);
        tile_keep(20u, lane, a20);
        tile_keep(21u, lane, a21);
        tile_keep(22u, lane, a22);
        tile_keep(23u, lane, a23);
    }
    if TILE_ROWS > 24u {
        tile_keep(24u, lane, a24);
        tile_keep(25u, lane, a25);
        tile_keep(26u, lane, a26);
        tile_keep(27u, lane, a27);
        tile_keep(28u, lane, a28);
        tile_keep(29u, lane, a29);
        tile_keep(30u, lane, a30);
        tile_keep(31u, lane, a31);
    }
    for (var i = 0u; i < min(TILE_ROWS, params.rows - row); i++) {
        finish(row + i, n, tile_sums[2u * i * LANES + lane]);
        finish(row + i, n + 4u, tile_sums[(2u * i + 1u) * LANES + lane]);
    }
}
