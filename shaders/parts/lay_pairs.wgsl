// Role lay: where the words of two neighbouring lines go. Outputs are rows of y, lines its columns; for an even pitch of y
// and dispatches that begin at even lines. lay(out, pair, words) writes lines 2 pair and 2 pair + 1 of the dispatch.

@group(0) @binding(4) var<storage, read_write> y: array<vec2<u32>>; // [outputs, y_pitch / 2]

fn lay(out: u32, pair: u32, words: vec2<u32>) {
    if 2u * pair < params.laid {
        y[(out * params.y_pitch + params.y_line) / 2u + pair] = words;
    }
}
