// Running sum or product along the middle axis, chosen by the override OP: 0 sum, 1 product.
//
//     y[o, j, i] = x[o, 0, i] op .. op x[o, j, i]
//
// EXCLUSIVE leaves x[o, j, i] itself out; REVERSE runs from the end of the axis. A workgroup takes COLS lines (o, i), each
// by LANES / COLS lanes: lane % COLS is the line, lane / COLS the span of it. Each lane folds a span of neighbouring j,
// lanes exchange the folds of all spans before their own (Hillis & Steele 1986), then each goes through its span again.
//
// Parts: number (Stored, Number)

struct Params {
    outer: u32,
    count: u32,
    inner: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Stored>; // [outer, count, inner]
@group(0) @binding(2) var<storage, read_write> y: array<Stored>; // [outer, count, inner]

override LANES: u32 = 64;
override COLS: u32 = 1u;
override OP: u32 = 0u;
override EXCLUSIVE: u32 = 0u;
override REVERSE: u32 = 0u;

var<workgroup> folds: array<Number, LANES>;

fn combined(a: Number, b: Number) -> Number {
    if OP == 1u {
        return a * b;
    }
    return a + b;
}

// Where step `j` of the run lies, from the start of its line.
fn place(j: u32) -> u32 {
    return select(j, params.count - 1u - j, REVERSE == 1u) * params.inner;
}

// What the spans before that of a lane fold to.
fn folded_before(base: u32, first: u32, end: u32, lane: u32, neutral: Number) -> Number {
    var fold = neutral;
    for (var j = first; j < end; j++) {
        fold = combined(fold, Number(x[base + place(j)]));
    }
    folds[lane] = fold;
    workgroupBarrier();
    for (var width = COLS; width < LANES; width <<= 1u) {
        var before = neutral;
        if lane >= width {
            before = folds[lane - width];
        }
        workgroupBarrier();
        folds[lane] = combined(before, folds[lane]);
        workgroupBarrier();
    }
    if lane < COLS {
        return neutral;
    }
    return folds[lane - COLS];
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let lines = params.outer * params.inner;
    let first_line = (group.x + group.y * groups.x) * COLS;
    if first_line >= lines {
        return;
    }
    let line = min(first_line + lane % COLS, lines - 1u);
    let base = line / params.inner * params.count * params.inner + line % params.inner;
    let span = (params.count + LANES / COLS - 1u) / (LANES / COLS);
    let first = min(lane / COLS * span, params.count);
    // A lane beyond the last line has nothing to do but to meet the others.
    let end = select(first, min(first + span, params.count), first_line + lane % COLS < lines);

    let neutral = select(Number(0), Number(1), OP == 1u);
    var run = neutral;
    if COLS < LANES {
        run = folded_before(base, first, end, lane, neutral);
    }
    for (var j = first; j < end; j++) {
        let at = base + place(j);
        let next = combined(run, Number(x[at]));
        y[at] = Stored(select(next, run, EXCLUSIVE == 1u));
        run = next;
    }
}
