// Role walk: four neighbouring samples of two lines; beyond their end the last is repeated. Lines are rows of any pitch.

@group(0) @binding(1) var<storage, read> x: array<u32>; // [rows, pitch]

// Four neighbouring samples of each of two lines.
struct Samples {
    near: vec4<u32>,
    far: vec4<u32>,
}

fn walk_line(line: u32, at: u32) -> vec4<u32> {
    let place = line * params.pitch + min(at + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.samples - 1u));
    return vec4<u32>(x[place.x], x[place.y], x[place.z], x[place.w]);
}

fn walk_samples(lines: vec2<u32>, at: u32) -> Samples {
    return Samples(walk_line(lines.x, at), walk_line(lines.y, at));
}
