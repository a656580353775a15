// Products of tokens with the matrices of their experts (grouped matrix product):
//
//     y[p, n] = sum over k of x[row(p), k] * w[e(p), n, k] + bias[e(p), n]
//
// Places p are in the order of expert_sort: those of expert e are spans[e]. row(p) is p itself, or order[p] / per. Places of
// a capacity that have no token become 0. The weights of all experts are one matrix of experts * width rows.
//
// A workgroup computes up to 8 places of one expert by LANES columns, a lane one column: a weight is read once for 8
// places. Tiles are numbered expert by expert, as many as spans ask for; the grid has enough for any spans.
//
// Parts: elem, x (x_quad), weight (w_quad), bias (bias_quad), span (span_rows, the places of an expert that are written)

struct Params {
    places: u32,
    x_rows: u32,
    cols: u32, // experts * width: cells of bias
    inner: u32,
    chunk_cols: u32, // experts * width
    experts: u32,
    width: u32, // columns of y
    per: u32, // assignments of a row of x; 0: rows of x are places
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read> order: array<u32>; // [places]
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [places, width]
@group(0) @binding(6) var<storage, read> spans: array<vec2<u32>>; // [experts]: first place, how many
// x: 1, w: 2, bias: 3, each in its part

override LANES: u32 = 64;

const TILE_ROWS = 8u;

fn x_row(place: u32) -> u32 {
    let row = select(place, order[place] / max(params.per, 1u), params.per > 0u);
    return min(row, params.x_rows - 1u);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let blocks = (params.width + LANES - 1u) / LANES;
    let tile = group.x + group.y * groups.x;
    let col = tile % blocks * LANES + lane;
    var left = tile / blocks;
    var expert = 0u;
    for (; expert < params.experts; expert++) {
        let tiles = (span_rows(spans[expert].y) + TILE_ROWS - 1u) / TILE_ROWS;
        if left < tiles {
            break;
        }
        left -= tiles;
    }
    if expert == params.experts || col >= params.width {
        return;
    }
    let span = spans[expert];
    let first = span.x + left * TILE_ROWS;
    let end = min(first + TILE_ROWS, min(span.x + span_rows(span.y), params.places));
    let filled = span.x + span.y;
    var rows: array<u32, 8>;
    var sums: array<f32, 8>;
    for (var i = 0u; i < TILE_ROWS; i++) {
        rows[i] = x_row(min(first + i, params.places - 1u));
        sums[i] = 0.0;
    }
    let n = expert * params.width + col;
    for (var quad = 0u; quad < (params.inner + 3u) / 4u; quad++) {
        let weight = w_quad(quad, n);
        for (var i = 0u; i < TILE_ROWS; i++) {
            sums[i] += dot(x_quad(rows[i], quad), weight);
        }
    }
    let bias = bias_quad(n).x;
    for (var i = 0u; first + i < end; i++) {
        let place = min(first + i, params.places - 1u);
        y[place * params.width + col] = select(0.0, sums[i] + bias, place < filled);
    }
}
