// Role walk: four neighbouring samples of two lines; beyond their end the last is repeated. Lines are rows of any pitch.

@group(0) @binding(1) var<storage, read> x: array<u32>; // [rows, pitch]

// Four neighbouring samples of each of two lines.
struct Samples {
    near: vec4<u32>,
    far: vec4<u32>,
}

// What does not change along two lines.
struct Walking {
    first: vec2<u32>, // words of the lines
    last: u32, // sample
}

fn walk_begin(lines: vec2<u32>) -> Walking {
    return Walking(lines * params.pitch, params.samples - 1u);
}

fn walk_samples(walking: Walking, at: u32) -> Samples {
    let word = min(at + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(walking.last));
    let near = walking.first.x + word;
    let far = walking.first.y + word;
    return Samples(
        vec4<u32>(x[near.x], x[near.y], x[near.z], x[near.w]),
        vec4<u32>(x[far.x], x[far.y], x[far.z], x[far.w]),
    );
}
