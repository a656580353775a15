// Role lay: where the words of two neighbouring lines go. Outputs are rows of y, lines its columns; for an
// even pitch of y and dispatches that begin at even lines. lay_begin(line) is for lines `line` and `line` + 1 of the dispatch.

@group(0) @binding(4) var<storage, read_write> y: array<vec2<u32>>; // [outputs, y_pitch / 2]

// What does not change along two lines.
struct Laying {
    column: u32, // of pairs
    pitch: u32, // in pairs
    laid: bool,
}

fn lay_begin(line: u32) -> Laying {
    return Laying((params.y_line + line) / 2u, params.y_pitch / 2u, line < params.laid);
}

fn lay(laying: Laying, out: u32, words: vec2<u32>) {
    if laying.laid {
        y[out * laying.pitch + laying.column] = words;
    }
}
