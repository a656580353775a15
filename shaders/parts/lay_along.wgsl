// Role lay: where the words of two neighbouring lines go. Lines are rows of y, outputs its columns. lay(out, pair, words)
// writes lines 2 pair and 2 pair + 1 of the dispatch.

@group(0) @binding(4) var<storage, read_write> y: array<u32>; // [lines, y_pitch]

fn lay(out: u32, pair: u32, words: vec2<u32>) {
    let place = (params.y_line + 2u * pair) * params.y_pitch + out;
    if 2u * pair < params.laid {
        y[place] = words.x;
    }
    if 2u * pair + 1u < params.laid {
        y[place + params.y_pitch] = words.y;
    }
}
