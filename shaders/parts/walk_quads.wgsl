// Role walk: four neighbouring samples of two lines. Lines are rows whose pitch is a multiple of four words: one load of 16
// bytes each. walk_samples(walking, at) begins at a multiple of four.

@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>; // [rows, pitch / 4]

// Four neighbouring samples of each of two lines.
struct Samples {
    near: vec4<u32>,
    far: vec4<u32>,
}

// What does not change along two lines.
struct Walking {
    first: vec2<u32>, // quads of the lines
    last: u32, // quad of a line
}

fn walk_begin(lines: vec2<u32>) -> Walking {
    return Walking(lines * (params.pitch / 4u), params.pitch / 4u - 1u);
}

fn walk_samples(walking: Walking, at: u32) -> Samples {
    let place = walking.first + min(at / 4u, walking.last);
    return Samples(x[place.x], x[place.y]);
}
