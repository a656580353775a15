// Rotary position embedding (Su et al. 2021), head by head: of the first rotary_dim dims, the pair (a, b) becomes
//
//     (a cos - b sin, b cos + a sin)        cos, sin = table[position, pair], table[position, half + pair]
//
// with half = rotary_dim / 2 pairs: (i, i + half) half-split, (2 i, 2 i + 1) interleaved. The dims beyond
// rotary_dim pass through.
//
// One lane an item of a head: its pairs first, then its passing dims, `items` in all. Positions are clamped.
//
// Parts: elem (Elem, the activation type)

struct Params {
    total: u32, // tokens * heads * items
    items: u32, // half + head_dim - rotary_dim
    heads: u32,
    head_dim: u32,
    half: u32,
    x_cols: u32,
    x_offset: u32,
    max_positions: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Elem>; // [tokens, x_cols], the heads from column x_offset
@group(0) @binding(2) var<storage, read> positions: array<u32>; // [tokens]
@group(0) @binding(3) var<storage, read> table: array<f32>; // [max_positions, 2 * half]: cos, then sin
@group(0) @binding(4) var<storage, read_write> y: array<Elem>; // [tokens, heads * head_dim]

override LANES: u32 = 64;
override INTERLEAVED: bool = false;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.x + group.y * groups.x) * LANES + lane;
    if i >= params.total {
        return;
    }
    let item = i % params.items;
    let row = i / params.items; // token * heads + head
    let token = row / params.heads;
    let head = row % params.heads;
    let from_head = token * params.x_cols + params.x_offset + head * params.head_dim;
    let to_head = row * params.head_dim;
    if item >= params.half {
        let dim = item + params.half;
        y[to_head + dim] = x[from_head + dim];
        return;
    }
    let angle = min(positions[token], params.max_positions - 1u) * 2u * params.half + item;
    let c = table[angle];
    let s = table[angle + params.half];
    let first = select(item, 2u * item, INTERLEAVED);
    let second = select(item + params.half, 2u * item + 1u, INTERLEAVED);
    let a = f32(x[from_head + first]);
    let b = f32(x[from_head + second]);
    y[to_head + first] = Elem(a * c - b * s);
    y[to_head + second] = Elem(b * c + a * s);
}
