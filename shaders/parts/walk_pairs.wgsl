// Role walk: four neighbouring samples of two lines; beyond their end the last is repeated. Lines are columns, the first of
// them at an even place, and the pitch is even: both lines come in one load. Both may be the last.

@group(0) @binding(1) var<storage, read> x: array<vec2<u32>>; // [samples, pitch / 2]

// Four neighbouring samples of each of two lines.
struct Samples {
    near: vec4<u32>,
    far: vec4<u32>,
}

// What does not change along two lines.
struct Walking {
    column: u32, // of pairs
    second: vec2<bool>, // the line is the second of its pair
    pitch: u32, // in pairs
    last: u32, // sample
}

fn walk_begin(lines: vec2<u32>) -> Walking {
    return Walking(lines.x / 2u, lines % 2u == vec2<u32>(1u), params.pitch / 2u, params.samples - 1u);
}

fn walk_samples(walking: Walking, at: u32) -> Samples {
    let row = min(at + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(walking.last));
    let place = row * walking.pitch + walking.column;
    let p = x[place.x];
    let q = x[place.y];
    let r = x[place.z];
    let s = x[place.w];
    let even = vec4<u32>(p.x, q.x, r.x, s.x);
    let odd = vec4<u32>(p.y, q.y, r.y, s.y);
    return Samples(select(even, odd, walking.second.x), select(even, odd, walking.second.y));
}
