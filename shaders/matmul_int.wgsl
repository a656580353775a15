// Matrix product of integers of 8 bits, four a word along k, with zero points:
//
//     sum[b, row, n] = sum over k of (x[b, row, k] - x_zero[row]) * (w[b, n, k] - w_zero[n])
//
// in 32 bits, exactly, wrapping as i32 does. What is stored is the role out. A zero point is for all rows or columns or one
// each (its step is 0 or 1), and so is w for all b or one each.
//
// One workgroup computes a tile of 32 x 32, a lane 4 x 4 of it: rows r, r + 8, .. and columns c, c + 8, .. Words of x and
// w, DEPTH along k, are staged in workgroup memory. Rows and columns beyond the end repeat the last one.
//
// Parts: out (put, of a sum)

struct Params {
    batch: u32,
    rows: u32,
    cols: u32,
    inner: u32,
    w_step: u32, // words from one w to the next
    x_zero_batch: u32, // zero points from one x to the next, and from row to row
    x_zero_step: u32,
    w_zero_batch: u32,
    w_zero_step: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>; // [batch, rows, ceil(inner / 4)]
@group(0) @binding(2) var<storage, read> w: array<u32>; // [batch or 1, cols, ceil(inner / 4)]
@group(0) @binding(3) var<storage, read> x_zero: array<i32>;
@group(0) @binding(4) var<storage, read> w_zero: array<i32>;

override X_SIGNED: u32 = 0u;
override W_SIGNED: u32 = 1u;

const TILE = 32u;
const DEPTH = 8u;
const LANES = 64u;

// The words of a line of a tile are a word apart from those of the next, so that lanes meet other banks.
var<workgroup> tile_x: array<u32, TILE * (DEPTH + 1u)>;
var<workgroup> tile_w: array<u32, TILE * (DEPTH + 1u)>;

// Four numbers less their zero point; those beyond the end of k are 0.
fn four(word: u32, is_signed: u32, zero: i32, k: u32) -> vec4<i32> {
    let values = select(vec4<i32>(unpack4xU8(word)), unpack4xI8(word), is_signed == 1u) - zero;
    return select(vec4<i32>(), values, vec4<u32>(k, k + 1u, k + 2u, k + 3u) < vec4<u32>(params.inner));
}

fn stage(b: u32, row: u32, col: u32, first: u32, lane: u32) {
    let words = (params.inner + 3u) / 4u;
    for (var i = lane; i < TILE * DEPTH; i += LANES) {
        let line = i / DEPTH;
        let word = min(first + i % DEPTH, words - 1u);
        let at = line * (DEPTH + 1u) + i % DEPTH;
        tile_x[at] = x[(b * params.rows + min(row + line, params.rows - 1u)) * words + word];
        tile_w[at] = w[b * params.w_step + min(col + line, params.cols - 1u) * words + word];
    }
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group.x + group.y * groups.x;
    let row_tiles = (params.rows + TILE - 1u) / TILE;
    let col_tiles = (params.cols + TILE - 1u) / TILE;
    if tile >= row_tiles * col_tiles * params.batch {
        return;
    }
    let b = tile / (row_tiles * col_tiles);
    let row = tile % row_tiles * TILE;
    let col = tile / row_tiles % col_tiles * TILE;
    let r = lane / 8u;
    let c = lane % 8u;
    var x_zeros: array<i32, 4>;
    var w_zeros: array<i32, 4>;
    for (var i = 0u; i < 4u; i++) {
        let m = min(row + r + 8u * i, params.rows - 1u);
        let n = min(col + c + 8u * i, params.cols - 1u);
        x_zeros[i] = x_zero[b * params.x_zero_batch + m * params.x_zero_step];
        w_zeros[i] = w_zero[b * params.w_zero_batch + n * params.w_zero_step];
    }
    var sums: array<i32, 16>;
    for (var first = 0u; first < (params.inner + 3u) / 4u; first += DEPTH) {
        stage(b, row, col, first, lane);
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth++) {
            let k = 4u * (first + depth);
            var columns: array<vec4<i32>, 4>;
            for (var j = 0u; j < 4u; j++) {
                columns[j] = four(tile_w[(c + 8u * j) * (DEPTH + 1u) + depth], W_SIGNED, w_zeros[j], k);
            }
            for (var i = 0u; i < 4u; i++) {
                let line = four(tile_x[(r + 8u * i) * (DEPTH + 1u) + depth], X_SIGNED, x_zeros[i], k);
                for (var j = 0u; j < 4u; j++) {
                    sums[4u * i + j] += dot(line, columns[j]);
                }
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 16u; i++) {
        let m = row + r + 8u * (i / 4u);
        let n = col + c + 8u * (i % 4u);
        if m < params.rows && n < params.cols {
            put(b * params.rows + m, n, sums[i]);
        }
    }
}
