// Role slots: sums of the next outputs of a walk, five of them, for one channel. Weights are those of four samples.

// Quads of a row of steps.
const SLOTS_ROW: u32 = 6u;

struct Slots {
    near: vec4<i32>,
    last: i32,
}

// Weights of each of the four samples, how many outputs are finished after them, and the first sample.
struct Taps {
    a: Slots,
    b: Slots,
    c: Slots,
    d: Slots,
    finished: i32,
    at: i32,
}

fn slots_taps(row: Row) -> Taps {
    return Taps(
        Slots(row.a, row.b.x),
        Slots(vec4<i32>(row.b.yzw, row.c.x), row.c.y),
        Slots(vec4<i32>(row.c.zw, row.d.xy), row.d.z),
        Slots(vec4<i32>(row.d.w, row.e.xyz), row.e.w),
        row.f.x,
        row.f.y,
    );
}

fn slots_add(sums: Slots, weights: Slots, v: i32) -> Slots {
    return Slots(sums.near + weights.near * v, sums.last + weights.last * v);
}

fn slots_first(sums: Slots) -> i32 {
    return sums.near.x;
}

// The sums without the first, which is finished.
fn slots_next(sums: Slots) -> Slots {
    return Slots(vec4<i32>(sums.near.yzw, sums.last), 0);
}
