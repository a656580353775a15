// Rotary position embedding (Su et al. 2021), head by head: of the first rotary_dim dims, the pair (a, b) becomes
//
//     (a cos - b sin, b cos + a sin)        cos, sin = table[position, pair], table[position, half + pair]
//
// with half = rotary_dim / 2 pairs: (i, i + half) half-split, (2 i, 2 i + 1) interleaved. The dims beyond
// rotary_dim pass through.
//
// A workgroup takes SPAN heads of a token, a lane every LANES-th pair and passing dim, the same in all the heads.
// Positions are clamped.
//
// Columns are counted in cells: elements, or quads where every extent is whole quads (half-split only).
//
// Parts: elem (the activation type), cell (Cell, Num)

struct Params {
    tokens: u32,
    heads: u32,
    blocks: u32, // workgroups a token
    head_dim: u32,
    half: u32,
    x_cols: u32,
    x_offset: u32,
    max_positions: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Cell>; // [tokens, x_cols], the heads from column x_offset
@group(0) @binding(2) var<storage, read> positions: array<u32>; // [tokens]
@group(0) @binding(3) var<storage, read> table: array<Num>; // [max_positions, 2 * half]: cos, then sin
@group(0) @binding(4) var<storage, read_write> y: array<Cell>; // [tokens, heads * head_dim]

override LANES: u32 = 64;
override INTERLEAVED: bool = false;

const SPAN: u32 = 4u;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.x + group.y * groups.x;
    let token = block / params.blocks;
    if token >= params.tokens {
        return;
    }
    let first = block % params.blocks * SPAN;
    let last = min(first + SPAN, params.heads);
    let turns = min(positions[token], params.max_positions - 1u) * 2u * params.half;
    let from_row = token * params.x_cols + params.x_offset;
    let to_row = token * params.heads * params.head_dim;
    for (var item = lane; item < params.half; item += LANES) {
        let c = table[turns + item];
        let s = table[turns + params.half + item];
        let one = select(item, 2u * item, INTERLEAVED);
        let two = select(item + params.half, 2u * item + 1u, INTERLEAVED);
        for (var head = first; head < last; head++) {
            let from_head = from_row + head * params.head_dim;
            let to_head = to_row + head * params.head_dim;
            let a = Num(x[from_head + one]);
            let b = Num(x[from_head + two]);
            y[to_head + one] = Cell(a * c - b * s);
            y[to_head + two] = Cell(b * c + a * s);
        }
    }
    for (var dim = 2u * params.half + lane; dim < params.head_dim; dim += LANES) {
        for (var head = first; head < last; head++) {
            y[to_row + head * params.head_dim + dim] = x[from_row + head * params.head_dim + dim];
        }
    }
}
