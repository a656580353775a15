// Role walk: four neighbouring samples of two lines; beyond their end the last is repeated. Lines are columns.

@group(0) @binding(1) var<storage, read> x: array<u32>; // [samples, pitch]

// Four neighbouring samples of each of two lines.
struct Samples {
    near: vec4<u32>,
    far: vec4<u32>,
}

// What does not change along two lines.
struct Walking {
    lines: vec2<u32>,
    pitch: u32,
    last: u32, // sample
}

fn walk_begin(lines: vec2<u32>) -> Walking {
    return Walking(lines, params.pitch, params.samples - 1u);
}

fn walk_line(walking: Walking, line: u32, at: u32) -> vec4<u32> {
    let row = min(at + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(walking.last));
    let place = row * walking.pitch + line;
    return vec4<u32>(x[place.x], x[place.y], x[place.z], x[place.w]);
}

fn walk_samples(walking: Walking, at: u32) -> Samples {
    return Samples(walk_line(walking, walking.lines.x, at), walk_line(walking, walking.lines.y, at));
}
