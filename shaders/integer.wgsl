// A function of two whole numbers, y[i] = f(x[i], b[i]), by the override OP (the order of `IntegerOp` in
// src/kernels/integer.rs):
//
//     0 x + b   1 x - b   2 x b   3 x / b, towards 0   4 its rest, with the sign of x   5 the floored division's rest
//     6 x to the power b   7 the larger   8 the smaller   9 and   10 or   11 exclusive or
//    12 x shifted up by b bits   13 x shifted down, the sign kept
//
// Results wrap. A division by 0 is not defined (it ends). A negative power is that of 1 / x, cut to a whole number. A
// shift by all bits or more leaves 0, or the sign; so does a negative one.
//
// A lane takes STEPS neighbouring cells.
//
// Parts: int (Int, a number; value, the function)

struct Params {
    items: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Int>; // [items]
@group(0) @binding(2) var<storage, read> b: array<Int>; // [items]
@group(0) @binding(3) var<storage, read_write> y: array<Int>; // [items]

override LANES: u32 = 64;
override STEPS: u32 = 1;
override OP: u32 = 0;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    let end = min(first + STEPS, params.items);
    for (var i = first; i < end; i++) {
        y[i] = value(x[i], b[i]);
    }
}
