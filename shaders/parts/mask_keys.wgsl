// Role mask: a key is seen where key_mask is not 0.

@group(1) @binding(0) var<storage, read> key_mask: array<u32>; // [k_rows]

fn mask_sees(key: u32) -> bool {
    return key_mask[key] != 0u;
}
