// Role cache: keys and values, f32 read 128 bits at a time, on adapters with integers of 64 bits; heads are whole quads.
//
// Value i, counted over rows of whole quads; and of a head of `dim` values from `at` on
// the quad from d on, where what is beyond the head is any of its values.

alias KvCell = vec2<u64>;

fn cache_numbers(pairs: vec2<u64>) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(u32(pairs.x), u32(pairs.x >> 32u), u32(pairs.y), u32(pairs.y >> 32u)));
}

fn cache_k(i: u32) -> f32 {
    return cache_numbers(k[i / 4u])[i % 4u];
}

fn cache_k_quad(at: u32, d: u32, dim: u32) -> vec4<f32> {
    return cache_numbers(k[(at + min(d, dim - 4u)) / 4u]);
}

fn cache_v(i: u32) -> f32 {
    return cache_numbers(v[i / 4u])[i % 4u];
}

fn cache_v_quad(at: u32, d: u32, dim: u32) -> vec4<f32> {
    return cache_numbers(v[(at + min(d, dim - 4u)) / 4u]);
}
