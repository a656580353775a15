// Role lay: where the words of two neighbouring lines go. Outputs are rows of y, lines its columns. lay(out, pair, words)
// writes lines 2 pair and 2 pair + 1 of the dispatch.

@group(0) @binding(4) var<storage, read_write> y: array<u32>; // [outputs, y_pitch]

fn lay(out: u32, pair: u32, words: vec2<u32>) {
    let place = out * params.y_pitch + params.y_line + 2u * pair;
    if 2u * pair < params.laid {
        y[place] = words.x;
    }
    if 2u * pair + 1u < params.laid {
        y[place + 1u] = words.y;
    }
}
