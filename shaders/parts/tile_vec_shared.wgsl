// Role tile for up to eight rows (TILE_ROWS), for GPUs and adapters without subgroups.
//
// Lanes are TILE_COLS columns x SPLIT slices of k: neighbouring lanes read neighbouring columns of a quad, so
// a slice reads one piece of memory; slice s takes quads s, s + SPLIT, ... The sums of the slices meet in
// workgroup memory (TILE_ROWS KiB), where a lane adds those of four columns in the order of the slices.
// Columns beyond the end repeat the last one.

override TILE_ROWS: u32 = 1u;
const TILE_COLS = 16u;
const SPLIT = 16u;
const LANES = TILE_COLS * SPLIT;

var<workgroup> tile_sums: array<f32, TILE_ROWS * LANES>;

fn tile_product(row: u32, col: u32, lane: u32) {
    let c = min(col + lane % TILE_COLS, params.chunk_cols - 1u);
    var s0 = 0.0; var s1 = 0.0; var s2 = 0.0; var s3 = 0.0;
    var s4 = 0.0; var s5 = 0.0; var s6 = 0.0; var s7 = 0.0;
    let last = params.rows - 1u;
    for (var quad = lane / TILE_COLS; quad < (params.inner + 3u) / 4u; quad += SPLIT) {
        let w = w_quad(quad, c);
        s0 += dot(x_quad(0u, quad), w);
        if TILE_ROWS > 1u { s1 += dot(x_quad(min(1u, last), quad), w); }
        if TILE_ROWS > 2u { s2 += dot(x_quad(min(2u, last), quad), w); }
        if TILE_ROWS > 3u { s3 += dot(x_quad(min(3u, last), quad), w); }
        if TILE_ROWS > 4u { s4 += dot(x_quad(min(4u, last), quad), w); }
        if TILE_ROWS > 5u { s5 += dot(x_quad(min(5u, last), quad), w); }
        if TILE_ROWS > 6u { s6 += dot(x_quad(min(6u, last), quad), w); }
        if TILE_ROWS > 7u { s7 += dot(x_quad(min(7u, last), quad), w); }
    }
    tile_sums[lane] = s0;
    if TILE_ROWS > 1u { tile_sums[LANES + lane] = s1; }
    if TILE_ROWS > 2u { tile_sums[2u * LANES + lane] = s2; }
    if TILE_ROWS > 3u { tile_sums[3u * LANES + lane] = s3; }
    if TILE_ROWS > 4u { tile_sums[4u * LANES + lane] = s4; }
    if TILE_ROWS > 5u { tile_sums[5u * LANES + lane] = s5; }
    if TILE_ROWS > 6u { tile_sums[6u * LANES + lane] = s6; }
    if TILE_ROWS > 7u { tile_sums[7u * LANES + lane] = s7; }
    workgroupBarrier();
    let r = lane / (TILE_COLS / 4u);
    let n = lane % (TILE_COLS / 4u) * 4u;
    if r < TILE_ROWS {
        var sums = vec4<f32>();
        for (var i = 0u; i < SPLIT; i++) {
            let at = r * LANES + i * TILE_COLS + n;
            sums += vec4<f32>(tile_sums[at], tile_sums[at + 1u], tile_sums[at + 2u], tile_sums[at + 3u]);
        }
        finish(row + r, col + n, sums);
    }
}
