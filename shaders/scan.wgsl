// Running sum or product along the middle axis, chosen by the override OP: 0 sum, 1 product.
//
//     y[o, j, i] = x[o, 0, i] op .. op x[o, j, i]
//
// EXCLUSIVE leaves x[o, j, i] itself out; REVERSE runs from the end of the axis. One workgroup a line (o, i): each
// lane folds a span of neighbouring j, lanes exchange the folds of all spans before their own (Hillis & Steele
// 1986), then each goes through its span again.
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

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let line = group.x + group.y * groups.x;
    if line >= params.outer * params.inner {
        return;
    }
    let base = line / params.inner * params.count * params.inner + line % params.inner;
    let span = (params.count + LANES - 1u) / LANES;
    let first = min(lane * span, params.count);
    let end = min(first + span, params.count);

    let neutral = select(Number(0), Number(1), OP == 1u);
    var fold = neutral;
    for (var j = first; j < end; j++) {
        fold = combined(fold, Number(x[base + place(j)]));
    }
    folds[lane] = fold;
    workgroupBarrier();
    for (var width = 1u; width < LANES; width <<= 1u) {
        var before = neutral;
        if lane >= width {
            before = folds[lane - width];
        }
        workgroupBarrier();
        folds[lane] = combined(before, folds[lane]);
        workgroupBarrier();
    }

    var run = neutral;
    if lane > 0u {
        run = folds[lane - 1u];
    }
    for (var j = first; j < end; j++) {
        let at = base + place(j);
        let next = combined(run, Number(x[at]));
        y[at] = Stored(select(next, run, EXCLUSIVE == 1u));
        run = next;
    }
}
