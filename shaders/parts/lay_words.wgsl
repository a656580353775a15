// Role lay: where the words of two neighbouring lines go. Outputs are rows of y, lines its columns.
// lay_begin(line) is for lines `line` and `line` + 1 of the dispatch.

@group(0) @binding(4) var<storage, read_write> y: array<u32>; // [outputs, y_pitch]

// What does not change along two lines.
struct Laying {
    column: u32,
    pitch: u32,
    lines: u32, // that are laid
}

fn lay_begin(line: u32) -> Laying {
    return Laying(params.y_line + line, params.y_pitch, params.laid - min(line, params.laid));
}

fn lay(laying: Laying, out: u32, words: vec2<u32>) {
    let place = out * laying.pitch + laying.column;
    if laying.lines > 0u {
        y[place] = words.x;
    }
    if laying.lines > 1u {
        y[place + 1u] = words.y;
    }
}
