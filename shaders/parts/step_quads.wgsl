// Role step: the row of words of one step of a walk, the same for every lane. step_row(step, lane) has SLOTS_ROW quads; what
// is beyond them is not to be used.
//
// Each lane loads all of it: on a GPU a load at one address is one load.

@group(0) @binding(3) var<storage, read> steps: array<vec4<i32>>; // [steps, SLOTS_ROW]

fn step_quad(step: u32, quad: u32) -> vec4<i32> {
    return steps[step * SLOTS_ROW + min(quad, SLOTS_ROW - 1u)];
}

fn step_row(step: u32, lane: u32) -> Row {
    return Row(
        step_quad(step, 0u),
        step_quad(step, 1u),
        step_quad(step, 2u),
        step_quad(step, 3u),
        step_quad(step, 4u),
        step_quad(step, 5u),
        step_quad(step, 6u),
        step_quad(step, 7u),
        step_quad(step, 8u),
    );
}
