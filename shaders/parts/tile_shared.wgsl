// Role tile, for GPUs: a tile is 64 x 64, computed by 128 lanes of 8 rows x 4 columns each.
//
// Panels of x and w, TILE_QUADS quads of k deep, are staged in workgroup memory (8 KiB). In one step of k a
// lane reads 8 + 4 quads for 128 multiply-adds. Lanes of a row of the tile are neighbours: they read the same
// quads of x and neighbouring quads of w, free of bank conflicts since column c lies at 16 (c % 4) + c / 4.
// Rows and columns beyond the end repeat the last one, quads beyond the end are zero.

const TILE_ROWS = 64u;
const TILE_COLS = 64u;
const TILE_QUADS = 4u;
const LANES = 128u;

var<workgroup> tile_x: array<vec4<f32>, TILE_QUADS * TILE_ROWS>;
var<workgroup> tile_w: array<vec4<f32>, TILE_QUADS * TILE_COLS>;

// a + b . w, w as columns of four k each
fn tile_madd(a: vec4<f32>, b: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {
    return fma(b.wwww, w[3], fma(b.zzzz, w[2], fma(b.yyyy, w[1], fma(b.xxxx, w[0], a))));
}

fn tile_stage(row: u32, col: u32, first: u32, lane: u32) {
    let quads = (params.inner + 3u) / 4u;
    for (var i = lane; i < TILE_QUADS * TILE_ROWS; i += LANES) {
        let quad = first + i % TILE_QUADS;
        let r = i / TILE_QUADS;
        var value = vec4<f32>();
        if quad < quads {
            value = x_quad(min(row + r, params.rows - 1u), quad);
        }
        tile_x[i % TILE_QUADS * TILE_ROWS + r] = value;
    }
    for (var i = lane; i < TILE_QUADS * TILE_COLS; i += LANES) {
        let quad = first + i / TILE_COLS;
        let c = i % TILE_COLS;
        var value = vec4<f32>();
        if quad < quads {
            value = w_quad(quad, min(col + c, params.chunk_cols - 1u));
        }
        tile_w[i / TILE_COLS * TILE_COLS + 16u * (c % 4u) + c / 4u] = value;
    }
}

fn tile_product(row: u32, col: u32, lane: u32) {
    let r = lane / 16u * 8u;
    let c = lane % 16u;
    var a0 = vec4<f32>(); var a1 = vec4<f32>(); var a2 = vec4<f32>(); var a3 = vec4<f32>();
    var a4 = vec4<f32>(); var a5 = vec4<f32>(); var a6 = vec4<f32>(); var a7 = vec4<f32>();
    for (var first = 0u; first < (params.inner + 3u) / 4u; first += TILE_QUADS) {
        tile_stage(row, col, first, lane);
        workgroupBarrier();
        for (var q = 0u; q < TILE_QUADS; q++) {
            let at_w = q * TILE_COLS + c;
            let w = transpose(mat4x4<f32>(
                tile_w[at_w], tile_w[at_w + 16u], tile_w[at_w + 32u], tile_w[at_w + 48u],
            ));
            let at_x = q * TILE_ROWS + r;
            a0 = tile_madd(a0, tile_x[at_x], w);
            a1 = tile_madd(a1, tile_x[at_x + 1u], w);
            a2 = tile_madd(a2, tile_x[at_x + 2u], w);
            a3 = tile_madd(a3, tile_x[at_x + 3u], w);
            a4 = tile_madd(a4, tile_x[at_x + 4u], w);
            a5 = tile_madd(a5, tile_x[at_x + 5u], w);
            a6 = tile_madd(a6, tile_x[at_x + 6u], w);
            a7 = tile_madd(a7, tile_x[at_x + 7u], w);
        }
        workgroupBarrier();
    }
    let n = col + 4u * c;
    finish(row + r, n, a0);
    finish(row + r + 1u, n, a1);
    finish(row + r + 2u, n, a2);
    finish(row + r + 3u, n, a3);
    finish(row + r + 4u, n, a4);
    finish(row + r + 5u, n, a5);
    finish(row + r + 6u, n, a6);
    finish(row + r + 7u, n, a7);
}
