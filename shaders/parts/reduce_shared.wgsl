// Role reduce: sum and maximum over a workgroup, by a tree in workgroup memory; *4 by component.
//
// Promise: every lane gets the same value, in any lane count that is a power of two; the order of the tree is
// fixed, so the result is the same in every run. Contains barriers: call it in uniform control flow.

var<workgroup> reduce_cells: array<f32, LANES>;
var<workgroup> reduce_quads: array<vec4<f32>, LANES>;

fn group_sum(value: f32, lane: u32) -> f32 {
    reduce_cells[lane] = value;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width >>= 1u) {
        if lane < width {
            reduce_cells[lane] += reduce_cells[lane + width];
        }
        workgroupBarrier();
    }
    let total = reduce_cells[0];
    workgroupBarrier();
    return total;
}

fn group_max(value: f32, lane: u32) -> f32 {
    reduce_cells[lane] = value;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width >>= 1u) {
        if lane < width {
            reduce_cells[lane] = max(reduce_cells[lane], reduce_cells[lane + width]);
        }
        workgroupBarrier();
    }
    let largest = reduce_cells[0];
    workgroupBarrier();
    return largest;
}

fn group_sum4(value: vec4<f32>, lane: u32) -> vec4<f32> {
    reduce_quads[lane] = value;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width >>= 1u) {
        if lane < width {
            reduce_quads[lane] += reduce_quads[lane + width];
        }
        workgroupBarrier();
    }
    let total = reduce_quads[0];
    workgroupBarrier();
    return total;
}

fn group_max4(value: vec4<f32>, lane: u32) -> vec4<f32> {
    reduce_quads[lane] = value;
    workgroupBarrier();
    for (var width = LANES / 2u; width > 0u; width >>= 1u) {
        if lane < width {
            reduce_quads[lane] = max(reduce_quads[lane], reduce_quads[lane + width]);
        }
        workgroupBarrier();
    }
    let largest = reduce_quads[0];
    workgroupBarrier();
    return largest;
}
