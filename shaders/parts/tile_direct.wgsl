// Role tile, for software adapters without subgroups, and wherever nothing better is known.
//
// A tile is 16 x 8 LANES: each lane keeps eight neighbouring columns of every row, two vec4 a row, and loads
// 24 quads for 512 multiply-adds. x and w are not staged in workgroup memory: on a software adapter it costs as
// much as a buffer.
// Rows and columns beyond the end repeat the last one.

const TILE_ROWS = 16u;
const LANES = 8u;
const TILE_COLS = 8u * LANES;

var<workgroup> tile_sums: array<vec4<f32>, 2u * TILE_ROWS * LANES>;

// a + b . w, w as columns of four k each
fn tile_madd(a: vec4<f32>, b: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {
    return fma(b.wwww, w[3], fma(b.zzzz, w[2], fma(b.yyyy, w[1], fma(b.xxxx, w[0], a))));
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

fn tile_keep(row: u32, lane: u32, a: vec4<f32>, b: vec4<f32>) {
    tile_sums[2u * row * LANES + lane] = a;
    tile_sums[(2u * row + 1u) * LANES + lane] = b;
}

fn tile_product(row: u32, col: u32, lane: u32) {
    let last = params.rows - 1u;
    let n = col + 8u * lane;
    var a0 = vec4<f32>(); var a1 = vec4<f32>(); var a2 = vec4<f32>(); var a3 = vec4<f32>();
    var b0 = vec4<f32>(); var b1 = vec4<f32>(); var b2 = vec4<f32>(); var b3 = vec4<f32>();
    var a4 = vec4<f32>(); var a5 = vec4<f32>(); var a6 = vec4<f32>(); var a7 = vec4<f32>();
    var b4 = vec4<f32>(); var b5 = vec4<f32>(); var b6 = vec4<f32>(); var b7 = vec4<f32>();
    var a8 = vec4<f32>(); var a9 = vec4<f32>(); var a10 = vec4<f32>(); var a11 = vec4<f32>();
    var b8 = vec4<f32>(); var b9 = vec4<f32>(); var b10 = vec4<f32>(); var b11 = vec4<f32>();
    var a12 = vec4<f32>(); var a13 = vec4<f32>(); var a14 = vec4<f32>(); var a15 = vec4<f32>();
    var b12 = vec4<f32>(); var b13 = vec4<f32>(); var b14 = vec4<f32>(); var b15 = vec4<f32>();
    for (var quad = 0u; quad < (params.inner + 3u) / 4u; quad++) {
        let v = tile_weights(quad, n);
        let w = tile_weights(quad, n + 4u);
        let x0 = x_quad(min(row + 0u, last), quad);
        a0 = tile_madd(a0, x0, v);
        b0 = tile_madd(b0, x0, w);
        let x1 = x_quad(min(row + 1u, last), quad);
        a1 = tile_madd(a1, x1, v);
        b1 = tile_madd(b1, x1, w);
        let x2 = x_quad(min(row + 2u, last), quad);
        a2 = tile_madd(a2, x2, v);
        b2 = tile_madd(b2, x2, w);
        let x3 = x_quad(min(row + 3u, last), quad);
        a3 = tile_madd(a3, x3, v);
        b3 = tile_madd(b3, x3, w);
        let x4 = x_quad(min(row + 4u, last), quad);
        a4 = tile_madd(a4, x4, v);
        b4 = tile_madd(b4, x4, w);
        let x5 = x_quad(min(row + 5u, last), quad);
        a5 = tile_madd(a5, x5, v);
        b5 = tile_madd(b5, x5, w);
        let x6 = x_quad(min(row + 6u, last), quad);
        a6 = tile_madd(a6, x6, v);
        b6 = tile_madd(b6, x6, w);
        let x7 = x_quad(min(row + 7u, last), quad);
        a7 = tile_madd(a7, x7, v);
        b7 = tile_madd(b7, x7, w);
        let x8 = x_quad(min(row + 8u, last), quad);
        a8 = tile_madd(a8, x8, v);
        b8 = tile_madd(b8, x8, w);
        let x9 = x_quad(min(row + 9u, last), quad);
        a9 = tile_madd(a9, x9, v);
        b9 = tile_madd(b9, x9, w);
        let x10 = x_quad(min(row + 10u, last), quad);
        a10 = tile_madd(a10, x10, v);
        b10 = tile_madd(b10, x10, w);
        let x11 = x_quad(min(row + 11u, last), quad);
        a11 = tile_madd(a11, x11, v);
        b11 = tile_madd(b11, x11, w);
        let x12 = x_quad(min(row + 12u, last), quad);
        a12 = tile_madd(a12, x12, v);
        b12 = tile_madd(b12, x12, w);
        let x13 = x_quad(min(row + 13u, last), quad);
        a13 = tile_madd(a13, x13, v);
        b13 = tile_madd(b13, x13, w);
        let x14 = x_quad(min(row + 14u, last), quad);
        a14 = tile_madd(a14, x14, v);
        b14 = tile_madd(b14, x14, w);
        let x15 = x_quad(min(row + 15u, last), quad);
        a15 = tile_madd(a15, x15, v);
        b15 = tile_madd(b15, x15, w);
    }
    // Through memory and a loop, so that the epilogue is compiled twice and not 32 times. A lane reads only what
    // it wrote, so no barrier is needed.
    tile_keep(0u, lane, a0, b0);
    tile_keep(1u, lane, a1, b1);
    tile_keep(2u, lane, a2, b2);
    tile_keep(3u, lane, a3, b3);
    tile_keep(4u, lane, a4, b4);
    tile_keep(5u, lane, a5, b5);
    tile_keep(6u, lane, a6, b6);
    tile_keep(7u, lane, a7, b7);
    tile_keep(8u, lane, a8, b8);
    tile_keep(9u, lane, a9, b9);
    tile_keep(10u, lane, a10, b10);
    tile_keep(11u, lane, a11, b11);
    tile_keep(12u, lane, a12, b12);
    tile_keep(13u, lane, a13, b13);
    tile_keep(14u, lane, a14, b14);
    tile_keep(15u, lane, a15, b15);
    for (var i = 0u; i < min(TILE_ROWS, params.rows - row); i++) {
        finish(row + i, n, tile_sums[2u * i * LANES + lane]);
        finish(row + i, n + 4u, tile_sums[(2u * i + 1u) * LANES + lane]);
    }
}
