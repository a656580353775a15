// Role turn: a token has one position, that of all pairs.

fn turn_position(token: u32, pair: u32) -> u32 {
    return positions[token];
}
