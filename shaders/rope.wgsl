// Rotary position embedding (Su et al. 2021), head by head: of the first rotary_dim dims, the pair (a, b) becomes
//
//     (a cos - b sin, b cos + a sin)        cos, sin = table[position, pair], table[position, half + pair]
//
// with half = rotary_dim / 2 pairs: (i, i + half) half-split, (2 i, 2 i + 1) interleaved. The dims beyond
// rotary_dim pass through. A token has one position for all pairs, or several (rows and columns of a picture,
// time) of which each pair takes one: the role turn.
//
// A workgroup takes SPAN heads of a token, a lane every LANES-th pair and passing dim, the same in all the heads.
// Positions are clamped.
//
// Columns are counted in cells: elements, or quads where every extent is whole quads (half-split, one position only).
//
// Parts: elem (the activation type), cell (Cell, Num), turn (turn_position)

struct Params {
    tokens: u32,
    heads: u32,
    blocks: u32, // workgroups a token
    head_dim: u32,
    half: u32,
    block_rows: u32, // tokens of a block
    x_offset: u32,
    x_block: u32, // cells from block to block, token to token, head to head
    x_row: u32,
    x_head: u32,
    y_block: u32,
    y_row: u32,
    y_head: u32,
    max_positions: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Cell>; // [tokens, ..], or [blocks, heads, block_rows, head_dim]
@group(0) @binding(2) var<storage, read> positions: array<u32>; // [tokens], or [axes, tokens]
@group(0) @binding(3) var<storage, read> table: array<Num>; // [max_positions, 2 * half]: cos, then sin
@group(0) @binding(4) var<storage, read_write> y: array<Cell>; // [tokens, heads * head_dim], or like x

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
    let from_row = token / params.block_rows * params.x_block + token % params.block_rows * params.x_row + params.x_offset;
    let to_row = token / params.block_rows * params.y_block + token % params.block_rows * params.y_row;
    for (var item = lane; item < params.half; item += LANES) {
        let turns = min(turn_position(token, item), params.max_positions - 1u) * 2u * params.half;
        let c = table[turns + item];
        let s = table[turns + params.half + item];
        let one = select(item, 2u * item, INTERLEAVED);
        let two = select(item + params.half, 2u * item + 1u, INTERLEAVED);
        for (var head = first; head < last; head++) {
            let from_head = from_row + head * params.x_head;
            let to_head = to_row + head * params.y_head;
            let a = Num(x[from_head + one]);
            let b = Num(x[from_head + two]);
            y[to_head + one] = Cell(a * c - b * s);
            y[to_head + two] = Cell(b * c + a * s);
        }
    }
    for (var dim = 2u * params.half + lane; dim < params.head_dim; dim += LANES) {
        for (var head = first; head < last; head++) {
            y[to_row + head * params.y_head + dim] = x[from_row + head * params.x_head + dim];
        }
    }
}
