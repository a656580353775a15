// Role wide: 64-bit sums as pairs of words (x low, y high), alone and in workgroup memory.
//
// Promise: exact integers, so the order of additions does not matter.

// Bits 32 to 63 of a * b.
fn mul_high(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let first = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let second = (a & 0xffffu) * (b >> 16u) + (first & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (first >> 16u) + (second >> 16u);
}

fn wide_add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn wide_less(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.y < b.y || (a.y == b.y && a.x < b.x);
}

// floor(a * share / 2^32)
fn wide_share(a: vec2<u32>, share: u32) -> vec2<u32> {
    let high = vec2<u32>(a.y * share, mul_high(a.y, share));
    return wide_add(high, vec2<u32>(mul_high(a.x, share), 0u));
}

const WIDE_BINS: u32 = 128u;

var<workgroup> wide_low: array<atomic<u32>, WIDE_BINS>;
var<workgroup> wide_high: array<atomic<u32>, WIDE_BINS>;

// Contains a barrier: call it in uniform control flow.
fn wide_clear(lane: u32) {
    for (var bin = lane; bin < WIDE_BINS; bin += LANES) {
        atomicStore(&wide_low[bin], 0u);
        atomicStore(&wide_high[bin], 0u);
    }
    workgroupBarrier();
}

fn wide_tally(bin: u32, amount: vec2<u32>) {
    let before = atomicAdd(&wide_low[bin], amount.x);
    let carry = amount.y + select(0u, 1u, before + amount.x < before);
    if carry != 0u {
        atomicAdd(&wide_high[bin], carry);
    }
}

fn wide_bin(bin: u32) -> vec2<u32> {
    return vec2<u32>(atomicLoad(&wide_low[bin]), atomicLoad(&wide_high[bin]));
}
