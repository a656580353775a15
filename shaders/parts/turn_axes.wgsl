// Role turn: a token has a position on each axis, and a list says which axis a pair takes (M-RoPE, Wang et al. 2024;
// two axes for pictures). Positions are [axes, tokens]; an axis beyond them is the last. Binds pair_axis.

@group(1) @binding(0) var<storage, read> pair_axis: array<u32>; // [half]

fn turn_position(token: u32, pair: u32) -> u32 {
    return positions[min(pair_axis[pair] * params.tokens + token, arrayLength(&positions) - 1u)];
}
