// Role cache: keys and values, f32 beside activations of another type.
//
// Value i, counted over rows of whole units of 64 values; and of a head of `dim` values from `at` on
// the quad from d on, where what is beyond the head is any of its values.

alias KvCell = u32;

fn cache_k(i: u32) -> f32 {
    return bitcast<f32>(k[i]);
}

fn cache_k_quad(at: u32, d: u32, dim: u32) -> vec4<f32> {
    if dim % 4u != 0u {
        let i = at + min(vec4<u32>(d, d + 1u, d + 2u, d + 3u), vec4<u32>(dim - 1u));
        return vec4<f32>(cache_k(i.x), cache_k(i.y), cache_k(i.z), cache_k(i.w));
    }
    let i = at + min(d, dim - 4u);
    return bitcast<vec4<f32>>(vec4<u32>(k[i], k[i + 1u], k[i + 2u], k[i + 3u]));
}

fn cache_v(i: u32) -> f32 {
    return bitcast<f32>(v[i]);
}

fn cache_v_quad(at: u32, d: u32, dim: u32) -> vec4<f32> {
    if dim % 4u != 0u {
        let i = at + min(vec4<u32>(d, d + 1u, d + 2u, d + 3u), vec4<u32>(dim - 1u));
        return vec4<f32>(cache_v(i.x), cache_v(i.y), cache_v(i.z), cache_v(i.w));
    }
    let i = at + min(d, dim - 4u);
    return bitcast<vec4<f32>>(vec4<u32>(v[i], v[i + 1u], v[i + 2u], v[i + 3u]));
}
