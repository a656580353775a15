// Role walk: four neighbouring samples of two lines; beyond their end the last is repeated. Lines are columns, the first of
// them at an even place, and the pitch is even: both lines come in one load. Both may be the last.

@group(0) @binding(1) var<storage, read> x: array<vec2<u32>>; // [samples, pitch / 2]

// Four neighbouring samples of each of two lines.
struct Samples {
    near: vec4<u32>,
    far: vec4<u32>,
}

fn walk_samples(lines: vec2<u32>, at: u32) -> Samples {
    let row = min(at + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.samples - 1u));
    let place = row * (params.pitch / 2u) + lines.x / 2u;
    let p = x[place.x];
    let q = x[place.y];
    let r = x[place.z];
    let s = x[place.w];
    let even = vec4<u32>(p.x, q.x, r.x, s.x);
    let odd = vec4<u32>(p.y, q.y, r.y, s.y);
    return Samples(select(even, odd, lines.x % 2u == 1u), select(even, odd, lines.y % 2u == 1u));
}
