// A copy of x as seen through a strided view:
//
//     y[i0, ..., i5] = x[base + i0 s0 + ... + i5 s5]
//
// Transposing, slicing, reversing, repeating along a new axis, splitting and space to depth are such views. A stride
// may be 0 or negative; all arithmetic on places is modulo 2^32.
//
// A lane takes STEPS neighbouring items of y, the last axis fastest: it divides its first item into coordinates and
// carries from there on, for divisions cost more than the copy. Views of fewer axes leave the first ones out.
//
// Parts: unit (Unit, what is moved at once), move (move_item, an item: a unit or a block of them)

struct Params {
    items: u32,
    base: u32,
    x_step: u32, // within a block
    y_step: u32,
    e1: u32, // items along an axis
    e2: u32,
    e3: u32,
    e4: u32,
    e5: u32,
    s0: u32, // units of x from an item to the next
    s1: u32,
    s2: u32,
    s3: u32,
    s4: u32,
    s5: u32,
    t0: u32, // units of y
    t1: u32,
    t2: u32,
    t3: u32,
    t4: u32,
    t5: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Unit>;
@group(0) @binding(2) var<storage, read_write> y: array<Unit>; // [.., e1, .., e5]

override LANES: u32 = 64;
override STEPS: u32 = 1;
override AXES: u32 = 6;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    if first >= params.items {
        return;
    }
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
    var at_x = params.base + c0 * params.s0 + c1 * params.s1 + c2 * params.s2;
    at_x += c3 * params.s3 + c4 * params.s4 + c5 * params.s5;
    var at_y = c0 * params.t0 + c1 * params.t1 + c2 * params.t2;
    at_y += c3 * params.t3 + c4 * params.t4 + c5 * params.t5;
    let count = min(STEPS, params.items - first);
    for (var n = 0u; n < count; n++) {
        move_item(at_x, at_y);
        at_x += params.s5;
        at_y += params.t5;
        c5 += 1u;
        if AXES > 1u && c5 == params.e5 {
            c5 = 0u;
            c4 += 1u;
            at_x += params.s4 - params.e5 * params.s5;
            at_y += params.t4 - params.e5 * params.t5;
            if AXES > 2u && c4 == params.e4 {
                c4 = 0u;
                c3 += 1u;
                at_x += params.s3 - params.e4 * params.s4;
                at_y += params.t3 - params.e4 * params.t4;
                if AXES > 3u && c3 == params.e3 {
                    c3 = 0u;
                    c2 += 1u;
                    at_x += params.s2 - params.e3 * params.s3;
                    at_y += params.t2 - params.e3 * params.t3;
                    if AXES > 4u && c2 == params.e2 {
                        c2 = 0u;
                        c1 += 1u;
                        at_x += params.s1 - params.e2 * params.s2;
                        at_y += params.t1 - params.e2 * params.t2;
                        if AXES > 5u && c1 == params.e1 {
                            c1 = 0u;
                            at_x += params.s0 - params.e1 * params.s1;
                            at_y += params.t0 - params.e1 * params.t1;
                        }
                    }
                }
            }
        }
    }
}
