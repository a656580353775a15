// Role cache: keys and values, blocks of Q4_0: in 9 words 64 codes of 4 bits, low bits first, and two f16 scales.
//
// Value i, counted over rows of whole units of 64 values; and of a head of `dim` values from `at` on
// the quad from d on, where what is beyond the head is any of its values.

alias KvCell = u32;

fn cache_k(i: u32) -> f32 {
    let code = extractBits(k[i / 64u * 9u + i % 64u / 8u], 4u * (i % 8u), 4u);
    let scales = unpack2x16float(k[i / 64u * 9u + 8u]);
    return select(scales.x, scales.y, i % 64u >= 32u) * (f32(code) - 8.0);
}

fn cache_k_quad(at: u32, d: u32, dim: u32) -> vec4<f32> {
    if dim % 4u != 0u {
        let i = at + min(vec4<u32>(d, d + 1u, d + 2u, d + 3u), vec4<u32>(dim - 1u));
        return vec4<f32>(cache_k(i.x), cache_k(i.y), cache_k(i.z), cache_k(i.w));
    }
    let i = at + min(d, dim - 4u);
    let word = k[i / 64u * 9u + i % 64u / 8u] >> (4u * (i % 8u));
    let codes = (vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u);
    let scales = unpack2x16float(k[i / 64u * 9u + 8u]);
    return select(scales.x, scales.y, i % 64u >= 32u) * (vec4<f32>(codes) - 8.0);
}

fn cache_v(i: u32) -> f32 {
    let code = extractBits(v[i / 64u * 9u + i % 64u / 8u], 4u * (i % 8u), 4u);
    let scales = unpack2x16float(v[i / 64u * 9u + 8u]);
    return select(scales.x, scales.y, i % 64u >= 32u) * (f32(code) - 8.0);
}

fn cache_v_quad(at: u32, d: u32, dim: u32) -> vec4<f32> {
    if dim % 4u != 0u {
        let i = at + min(vec4<u32>(d, d + 1u, d + 2u, d + 3u), vec4<u32>(dim - 1u));
        return vec4<f32>(cache_v(i.x), cache_v(i.y), cache_v(i.z), cache_v(i.w));
    }
    let i = at + min(d, dim - 4u);
    let word = v[i / 64u * 9u + i % 64u / 8u] >> (4u * (i % 8u));
    let codes = (vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u);
    let scales = unpack2x16float(v[i / 64u * 9u + 8u]);
    return select(scales.x, scales.y, i % 64u >= 32u) * (vec4<f32>(codes) - 8.0);
}
