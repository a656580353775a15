// Role zero: a zero point for each scale. Binds zero.

@group(0) @binding(3) var<storage, read> zero: array<u32>; // [groups]

fn zero_at(group: u32) -> u32 {
    return zero[group];
}
