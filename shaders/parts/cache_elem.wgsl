// Role cache: keys and values, elements of the activation type.
//
// Value i, counted over rows of any length; and of a head of `dim` values from `at` on
// the quad from d on, where what is beyond the head is any of its values.

alias KvCell = Elem;

fn cache_k(i: u32) -> f32 {
    return f32(k[i]);
}

fn cache_k_quad(at: u32, d: u32, dim: u32) -> vec4<f32> {
    let i = at + min(vec4<u32>(d, d + 1u, d + 2u, d + 3u), vec4<u32>(dim - 1u));
    return vec4<f32>(cache_k(i.x), cache_k(i.y), cache_k(i.z), cache_k(i.w));
}

fn cache_v(i: u32) -> f32 {
    return f32(v[i]);
}

fn cache_v_quad(at: u32, d: u32, dim: u32) -> vec4<f32> {
    let i = at + min(vec4<u32>(d, d + 1u, d + 2u, d + 3u), vec4<u32>(dim - 1u));
    return vec4<f32>(cache_v(i.x), cache_v(i.y), cache_v(i.z), cache_v(i.w));
}
