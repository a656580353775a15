// Role sweep: a workgroup takes ROWS rows in turn and holds each in registers, so that each cell is loaded once.
//
// For software adapters, where a load costs more than all the arithmetic that follows. A lane takes every LANES-th
// quad of the row, as HELD blocks of four, at most 8; LANES * 16 * HELD cells cover the row. The largest cell is
// known before the first exponential. The first quad of a row may hold the end of the row before (xy_stacked), which
// is written with it. Calls the role reduce, so barriers are as there.

override ROWS: u32 = 1u;
override HELD: u32 = 8u;

struct Held {
    v: mat4x4<f32>,
    w: mat4x4<f32>,
}

fn held_quads(block: u32, lane: u32) -> vec4<u32> {
    return vec4<u32>(lane) + LANES * (4u * block + vec4<u32>(0u, 1u, 2u, 3u));
}

// A block of the row; quads beyond it weigh 0. Blocks beyond HELD are nothing, and cost nothing: HELD is known
// when the pipeline is made.
fn held_load(row: u32, block: u32, lane: u32) -> Held {
    var own: Held;
    if block < HELD {
        let q = held_quads(block, lane);
        let near = min(q, vec4<u32>(quads() - 1u));
        let inside = select(vec4<f32>(0.0), vec4<f32>(1.0), q < vec4<u32>(quads()));
        own.v = mat4x4<f32>(x_quad(row, near.x), x_quad(row, near.y), x_quad(row, near.z), x_quad(row, near.w));
        own.w = mat4x4<f32>(
            quad_weight(row, near.x) * inside.x,
            quad_weight(row, near.y) * inside.y,
            quad_weight(row, near.z) * inside.z,
            quad_weight(row, near.w) * inside.w,
        );
    }
    return own;
}

fn held_max(own: Held) -> f32 {
    let largest = block_max(own.v, own.w);
    return max(max(largest.x, largest.y), max(largest.z, largest.w));
}

// The sum of the exponentials of a block, without what is not of the row.
fn held_sum(own: Held, top: f32) -> f32 {
    let low = dot(exp_below(own.v[0], top), own.w[0]) + dot(exp_below(own.v[1], top), own.w[1]);
    let high = dot(exp_below(own.v[2], top), own.w[2]) + dot(exp_below(own.v[3], top), own.w[3]);
    return low + high;
}

// The finished cells of a block.
fn held_out(own: Held, top: f32, weight: f32) -> mat4x4<f32> {
    return mat4x4<f32>(
        finished(own.v[0], top, weight),
        finished(own.v[1], top, weight),
        finished(own.v[2], top, weight),
        finished(own.v[3], top, weight),
    );
}

fn held_put(row: u32, block: u32, lane: u32, v: mat4x4<f32>) {
    let q = held_quads(block, lane);
    let most = quads();
    if block < HELD && q.x < most {
        y_put(row, q.x, v[0]);
    }
    if block < HELD && q.y < most {
        y_put(row, q.y, v[1]);
    }
    if block < HELD && q.z < most {
        y_put(row, q.z, v[2]);
    }
    if block < HELD && q.w < most {
        y_put(row, q.w, v[3]);
    }
}

// One row; `before` is top and weight of the row before, and so is what comes back for this one.
fn held_row(row: u32, lane: u32, before: vec2<f32>) -> vec2<f32> {
    let a = held_load(row, 0u, lane);
    let b = held_load(row, 1u, lane);
    let c = held_load(row, 2u, lane);
    let d = held_load(row, 3u, lane);
    let e = held_load(row, 4u, lane);
    let f = held_load(row, 5u, lane);
    let g = held_load(row, 6u, lane);
    let h = held_load(row, 7u, lane);
    let low = max(max(held_max(a), held_max(b)), max(held_max(c), held_max(d)));
    let high = max(max(held_max(e), held_max(f)), max(held_max(g), held_max(h)));
    let top = group_max(max(low, high), lane);
    let first = (held_sum(a, top) + held_sum(b, top)) + (held_sum(c, top) + held_sum(d, top));
    let second = (held_sum(e, top) + held_sum(f, top)) + (held_sum(g, top) + held_sum(h, top));
    let weight = row_weight(vec4<f32>(group_sum(first + second, lane))).x;
    var out = held_out(a, top, weight);
    if ROWS > 1u {
        out[0] = select(finished(a.v[0], before.x, before.y), out[0], a.w[0] > vec4<f32>(0.0));
    }
    held_put(row, 0u, lane, out);
    held_put(row, 1u, lane, held_out(b, top, weight));
    held_put(row, 2u, lane, held_out(c, top, weight));
    held_put(row, 3u, lane, held_out(d, top, weight));
    held_put(row, 4u, lane, held_out(e, top, weight));
    held_put(row, 5u, lane, held_out(f, top, weight));
    held_put(row, 6u, lane, held_out(g, top, weight));
    held_put(row, 7u, lane, held_out(h, top, weight));
    return vec2<f32>(top, weight);
}

fn sweep(row: u32, lane: u32) {
    var before = vec2<f32>(0.0);
    // Not a loop of one: a loop costs the registers.
    if ROWS == 1u {
        before = held_row(row, lane, before);
        return;
    }
    for (var r = row; r < row + ROWS; r += 1u) {
        before = held_row(r, lane, before);
    }
}
