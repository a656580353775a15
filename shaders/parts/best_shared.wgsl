// Role best: the largest key of a workgroup with its index, by a tree in workgroup memory.
//
// Promise: every lane gets the same pair, of equal keys the lowest index, for any lane count that is a power of
// two. Contains barriers: call it in uniform control flow.

var<workgroup> best_cells: array<vec2<u32>, LANES>; // key, index

// Unsigned order of the keys = order of the values; both zeros have one key. Never 0 for a number.
fn order_key(value: f32) -> u32 {
    let bits = select(bitcast<u32>(value), 0u, value == 0.0);
    return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

fn group_best(key: u32, index: u32, lane: u32) -> vec2<u32> {
    best_cells[lane] = vec2<u32>(key, index);
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width >>= 1u) {
        if lane < width {
            let mine = best_cells[lane];
            let other = best_cells[lane + width];
            if other.x > mine.x || (other.x == mine.x && other.y < mine.y) {
                best_cells[lane] = other;
            }
        }
        workgroupBarrier();
    }
    let best = best_cells[0];
    workgroupBarrier();
    return best;
}
