// A tensor with borders, or without its own margins, along any of six axes:
//
//     y[i0, ..., i5] = x[p0(i0 - b0), ..., p5(i5 - b5)]
//
// A coordinate c = i - b below 0 or beyond the axis of x, which has n places, is (override BORDER, the order of `Border`
// in src/kernels/pad.rs):
//
//     0 fill     no place: the cell is the fill value
//     1 edge     the nearest place
//     2 reflect  mirrored about the first and the last place, as often as it takes
//     3 wrap     c mod n
//
// A lane takes STEPS neighbouring items of y: it divides its first item into coordinates and carries from there on.
// Tensors of fewer axes leave the first ones out.
//
// Parts: unit (Unit, unit_fill)

struct Params {
    items: u32,
    fill_low: u32,
    fill_high: u32,
    e1: u32, // units of y along an axis
    e2: u32,
    e3: u32,
    e4: u32,
    e5: u32,
    b0: u32, // units before x, modulo 2^32
    b1: u32,
    b2: u32,
    b3: u32,
    b4: u32,
    b5: u32,
    n0: u32, // units of x
    n1: u32,
    n2: u32,
    n3: u32,
    n4: u32,
    n5: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Unit>; // [n0, .., n5]
@group(0) @binding(2) var<storage, read_write> y: array<Unit>; // [.., e1, .., e5]

override LANES: u32 = 64;
override STEPS: u32 = 1;
override AXES: u32 = 6;
override BORDER: u32 = 0;
override FAR: bool = true; // some c is a period or more away from x, so that remainders are taken

const NOWHERE: u32 = 0xffffffffu;

// Place of coordinate c, modulo 2^32, on an axis of n places. WGSL's remainder has the sign of c.
fn place(c: u32, n: u32) -> u32 {
    let s = bitcast<i32>(c);
    switch BORDER {
        case 1u: {
            return u32(clamp(s, 0, i32(n) - 1));
        }
        case 2u: {
            let period = max(2 * (i32(n) - 1), 1);
            var r = abs(s);
            if FAR {
                r = r % period;
            }
            return u32(max(min(r, period - r), 0)) * u32(n > 1u);
        }
        case 3u: {
            var r = s;
            if FAR {
                r = r % i32(n);
            }
            r = select(r, r + i32(n), r < 0);
            return u32(select(r, r - i32(n), r >= i32(n)));
        }
        default: {
            return select(NOWHERE, c, c < n);
        }
    }
}

// The place on one more axis: `at` counts rows of it.
fn join(at: u32, n: u32, c: u32) -> u32 {
    let p = place(c, n);
    if BORDER != 0u {
        return at * n + p;
    }
    return select(at * n + p, NOWHERE, at == NOWHERE || p == NOWHERE);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    let end = min(first + STEPS, params.items);
    var c5 = first;
    var c4 = 0u;
    var c3 = 0u;
    var c2 = 0u;
    var c1 = 0u;
    var c0 = 0u;
    if AXES > 1u {
        c4 = c5 / params.e5;
        c5 -= c4 * params.e5;
    }
    if AXES > 2u {
        c3 = c4 / params.e4;
        c4 -= c3 * params.e4;
    }
    if AXES > 3u {
        c2 = c3 / params.e3;
        c3 -= c2 * params.e3;
    }
    if AXES > 4u {
        c1 = c2 / params.e2;
        c2 -= c1 * params.e2;
    }
    if AXES > 5u {
        c0 = c1 / params.e1;
        c1 -= c0 * params.e1;
    }
    for (var item = first; item < end; item++) {
        var at = 0u;
        if AXES > 5u {
            at = join(at, params.n0, c0 - params.b0);
        }
        if AXES > 4u {
            at = join(at, params.n1, c1 - params.b1);
        }
        if AXES > 3u {
            at = join(at, params.n2, c2 - params.b2);
        }
        if AXES > 2u {
            at = join(at, params.n3, c3 - params.b3);
        }
        if AXES > 1u {
            at = join(at, params.n4, c4 - params.b4);
        }
        at = join(at, params.n5, c5 - params.b5);
        if BORDER == 0u && at == NOWHERE {
            y[item] = unit_fill(params.fill_low, params.fill_high);
        } else {
            y[item] = x[at];
        }
        c5 += 1u;
        if AXES > 1u && c5 == params.e5 {
            c5 = 0u;
            c4 += 1u;
            if AXES > 2u && c4 == params.e4 {
                c4 = 0u;
                c3 += 1u;
                if AXES > 3u && c3 == params.e3 {
                    c3 = 0u;
                    c2 += 1u;
                    if AXES > 4u && c2 == params.e2 {
                        c2 = 0u;
                        c1 += 1u;
                        if AXES > 5u && c1 == params.e1 {
                            c1 = 0u;
                            c0 += 1u;
                        }
                    }
                }
            }
        }
    }
}
