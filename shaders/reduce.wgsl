// Reduction along the middle axis, chosen by the override OP (the order of `ReduceOp` in src/kernels/reduce.rs), over
// all j of x[o, j, i]:
//
//     0 sum x      1 sum x / count     2 sum x^2      3 sum |x|     4 sqrt(sum x^2)
//     5 log(sum x) 6 log(sum exp(x))   7 largest x    8 smallest x  9 product x
//
// A workgroup takes COLS neighbouring i of one o: lane % COLS is the column, lane / COLS says which of the
// LANES / COLS slices of j the lane strides over. A lane folds spans of SPAN steps in four running values, then the
// spans; a tree joins the slices. So a sum of n terms rounds each of them about n / SPAN + SPAN / 4 times, not
// n. The log of a sum of exponentials is taken relative to the largest x: nothing overflows.
//
// Parts: number (Stored, Number)

struct Params {
    outer: u32,
    count: u32,
    inner: u32,
    empty: u32, // bits of the result over no terms
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>; // [outer, count, inner]
@group(0) @binding(2) var<storage, read_write> y: array<Stored>; // [outer, inner]

override LANES: u32 = 64;
override COLS: u32 = 1;
override OP: u32 = 0u;

const LARGEST = 7u;
const SMALLEST = 8u;
const PRODUCT = 9u;
const LOG_SUM_EXP = 6u;
const SPAN = 64u;

// The largest f32.
const HUGE: f32 = 3.4028234e38;

var<workgroup> cells: array<Number, LANES>;

fn combined(op: u32, a: Number, b: Number) -> Number {
    switch op {
        case LARGEST: {
            return max(a, b);
        }
        case SMALLEST: {
            return min(a, b);
        }
        case PRODUCT: {
            return a * b;
        }
        default: {
            return a + b;
        }
    }
}

fn term(op: u32, v: Number, top: Number) -> Number {
    switch op {
        case 2u, 4u: {
            return v * v;
        }
        case 3u: {
            return abs(v);
        }
        case LOG_SUM_EXP: {
            // From a finite top, so that a line of minus infinities has the sum 0.
            return Number(exp(min(f32(v) - clamp(f32(top), -HUGE, HUGE), 0.0)));
        }
        default: {
            return v;
        }
    }
}

fn finished(sum: Number, top: Number) -> Number {
    switch OP {
        case 1u: {
            return sum / Number(params.count);
        }
        case 4u: {
            return Number(sqrt(f32(sum)));
        }
        case 5u: {
            return Number(log(f32(sum)));
        }
        case LOG_SUM_EXP: {
            return top + Number(log(f32(sum)));
        }
        default: {
            return sum;
        }
    }
}

// What a lane of the slice folds, starting from `start`.
fn folded(op: u32, base: u32, slice: u32, start: Number, top: Number) -> Number {
    let slices = LANES / COLS;
    var total = start;
    for (var first = slice; first < params.count; first += SPAN * slices) {
        var a = start;
        var b = start;
        var c = start;
        var d = start;
        let end = min(params.count - first, SPAN * slices) + first;
        for (var j = first; j < end; j += 4u * slices) {
            a = combined(op, a, term(op, Number(x[base + j * params.inner]), top));
            if j + slices < end {
                b = combined(op, b, term(op, Number(x[base + (j + slices) * params.inner]), top));
            }
            if j + 2u * slices < end {
                c = combined(op, c, term(op, Number(x[base + (j + 2u * slices) * params.inner]), top));
            }
            if j + 3u * slices < end {
                d = combined(op, d, term(op, Number(x[base + (j + 3u * slices) * params.inner]), top));
            }
        }
        total = combined(op, total, combined(op, combined(op, a, b), combined(op, c, d)));
    }
    return total;
}

// Joins the slices of each column; every lane gets that of its own.
fn joined(op: u32, value: Number, lane: u32) -> Number {
    cells[lane] = value;
    workgroupBarrier();
    for (var width = LANES / 2u; width >= COLS; width >>= 1u) {
        if lane < width {
            cells[lane] = combined(op, cells[lane], cells[lane + width]);
        }
        workgroupBarrier();
    }
    let result = cells[lane % COLS];
    workgroupBarrier();
    return result;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let blocks = (params.inner + COLS - 1u) / COLS;
    let block = group.x + group.y * groups.x;
    if block >= params.outer * blocks {
        return;
    }
    let outer = block / blocks;
    let inner = block % blocks * COLS + lane % COLS;
    let column = min(inner, params.inner - 1u);
    let base = outer * params.count * params.inner + column;

    // Extremes start from a cell of the line, so that no value is too small or too large for them.
    let cell = Number(x[select(base, 0u, params.count == 0u)]);
    let neutral = select(Number(0), Number(1), OP == PRODUCT);
    let start = select(neutral, cell, OP == LARGEST || OP == SMALLEST);
    var top = Number(0);
    if OP == LOG_SUM_EXP {
        top = joined(LARGEST, folded(LARGEST, base, lane / COLS, cell, top), lane);
    }
    let sum = joined(OP, folded(OP, base, lane / COLS, start, top), lane);
    if lane < COLS && inner < params.inner {
        let result = select(finished(sum, top), bitcast<Number>(params.empty), params.count == 0u);
        y[outer * params.inner + inner] = Stored(result);
    }
}
