// Role octet: eight neighbouring elements of a key or value row, the same for every lane, as two quads.
// `at` is the row's first element, `d` the first of the eight; beyond HEAD_DIM of k and VALUE_DIM of v the last
// element is repeated.
//
// Eight loads at addresses that all lanes share.

fn octet_k(at: u32, d: u32, lane: u32) -> mat2x4<f32> {
    return mat2x4<f32>(
        octet_k_at(at, d), octet_k_at(at, d + 1u), octet_k_at(at, d + 2u), octet_k_at(at, d + 3u),
        octet_k_at(at, d + 4u), octet_k_at(at, d + 5u), octet_k_at(at, d + 6u), octet_k_at(at, d + 7u),
    );
}

fn octet_v(at: u32, d: u32, lane: u32) -> mat2x4<f32> {
    return mat2x4<f32>(
        octet_v_at(at, d), octet_v_at(at, d + 1u), octet_v_at(at, d + 2u), octet_v_at(at, d + 3u),
        octet_v_at(at, d + 4u), octet_v_at(at, d + 5u), octet_v_at(at, d + 6u), octet_v_at(at, d + 7u),
    );
}

fn octet_k_at(at: u32, d: u32) -> f32 {
    return f32(k[at + min(d, HEAD_DIM - 1u)]);
}

fn octet_v_at(at: u32, d: u32) -> f32 {
    return f32(v[at + min(d, VALUE_DIM - 1u)]);
}
