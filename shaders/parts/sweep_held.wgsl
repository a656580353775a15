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
fn held_load(start: u32, block: u32, lane: u32) -> Held {
    var own: Held;
    if block < HELD {
        let q = held_quads(block, lane);
        let near = min(q, vec4<u32>(quads() - 1u));
        let inside = select(vec4<f32>(0.0), vec4<f32>(1.0), q < vec4<u32>(quads()));
        own.v = mat4x4<f32>(x_quad(start, near.x), x_quad(start, near.y), x_quad(start, near.z), x_quad(start, near.w));
        own.w = mat4x4<f32>(
            quad_weight(start, near.x) * inside.x,
            quad_weight(start, near.y) * inside.y,
            quad_weight(start, near.z) * inside.z,
            quad_weight(start, near.w) * inside.w,
        );
    }
    return own;
}

fn held_max(own: Held) -> f32 {
    let largest = block_max(own.v, own.w);
    return max(max(largest.x, largest.y), max(largest.z, largest.w));
}

// The exponentials of a block; 0 for what is not of the row.
fn held_exp(own: Held, top: f32) -> mat4x4<f32> {
    return mat4x4<f32>(
        exp_below(own.v[0], top) * own.w[0],
        exp_below(own.v[1], top) * own.w[1],
        exp_below(own.v[2], top) * own.w[2],
        exp_below(own.v[3], top) * own.w[3],
    );
}

fn held_sum(e: mat4x4<f32>) -> f32 {
    let sum = (e[0] + e[1]) + (e[2] + e[3]);
    return (sum.x + sum.y) + (sum.z + sum.w);
}

fn held_put(start: u32, block: u32, lane: u32, v: mat4x4<f32>) {
    let q = held_quads(block, lane);
    let most = quads();
    if block < HELD && q.x < most {
        y_put(start, q.x, v[0]);
    }
    if block < HELD && q.y < most {
        y_put(start, q.y, v[1]);
    }
    if block < HELD && q.z < most {
        y_put(start, q.z, v[2]);
    }
    if block < HELD && q.w < most {
        y_put(start, q.w, v[3]);
    }
}

// One row; `before` is top and scale of the row before, and so is what comes back for this one.
fn held_row(start: u32, lane: u32, before: vec2<f32>) -> vec2<f32> {
    let a = held_load(start, 0u, lane);
    let b = held_load(start, 1u, lane);
    let c = held_load(start, 2u, lane);
    let d = held_load(start, 3u, lane);
    let e = held_load(start, 4u, lane);
    let f = held_load(start, 5u, lane);
    let g = held_load(start, 6u, lane);
    let h = held_load(start, 7u, lane);
    let low = max(max(held_max(a), held_max(b)), max(held_max(c), held_max(d)));
    let high = max(max(held_max(e), held_max(f)), max(held_max(g), held_max(h)));
    let top = group_max(max(low, high), lane);
    let ea = held_exp(a, top);
    let eb = held_exp(b, top);
    let ec = held_exp(c, top);
    let ed = held_exp(d, top);
    let ee = held_exp(e, top);
    let ef = held_exp(f, top);
    let eg = held_exp(g, top);
    let eh = held_exp(h, top);
    let first = (held_sum(ea) + held_sum(eb)) + (held_sum(ec) + held_sum(ed));
    let second = (held_sum(ee) + held_sum(ef)) + (held_sum(eg) + held_sum(eh));
    let scale = 1.0 / group_sum(first + second, lane);
    var va = ea * scale;
    if ROWS > 1u {
        va[0] = select(exp_below(a.v[0], before.x) * before.y, va[0], a.w[0] > vec4<f32>(0.0));
    }
    held_put(start, 0u, lane, va);
    held_put(start, 1u, lane, eb * scale);
    held_put(start, 2u, lane, ec * scale);
    held_put(start, 3u, lane, ed * scale);
    held_put(start, 4u, lane, ee * scale);
    held_put(start, 5u, lane, ef * scale);
    held_put(start, 6u, lane, eg * scale);
    held_put(start, 7u, lane, eh * scale);
    return vec2<f32>(top, scale);
}

fn sweep(row: u32, lane: u32) {
    var before = vec2<f32>(0.0);
    // Not a loop of one: a loop costs the registers.
    if ROWS == 1u {
        before = held_row(row * params.cols, lane, before);
        return;
    }
    for (var r = row; r < row + ROWS; r += 1u) {
        before = held_row(r * params.cols, lane, before);
    }
}
