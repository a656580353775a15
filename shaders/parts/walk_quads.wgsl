// Role walk: four neighbouring samples of two lines. Lines are rows whose pitch is a multiple of four words: one load of 16
// bytes each. walk_samples(lines, at) begins at a multiple of four.

@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>; // [rows, pitch / 4]

// Four neighbouring samples of each of two lines.
struct Samples {
    near: vec4<u32>,
    far: vec4<u32>,
}

fn walk_samples(lines: vec2<u32>, at: u32) -> Samples {
    let place = lines * (params.pitch / 4u) + min(at, params.pitch - 4u) / 4u;
    return Samples(x[place.x], x[place.y]);
}
