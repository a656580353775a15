// Role reduce: sum and maximum over a workgroup, by subgroups and one round of workgroup memory; *4 by component.
//
// The first lane of each subgroup leaves the subgroup's value in its own cell, the others leave the neutral
// value; then every subgroup reduces all cells. Nothing is assumed of the size of a subgroup, of sizes being
// equal, or of which lanes share one. Promise: every lane gets the same value, in any lane count; the order is
// the same in every run in which the device forms the same subgroups. Contains barriers: call it in uniform
// control flow.

var<workgroup> reduce_cells: array<f32, LANES>;
var<workgroup> reduce_quads: array<vec4<f32>, LANES>;

const REDUCE_LOWEST: f32 = -3.4028234e38;

fn group_sum(value: f32, lane: u32) -> f32 {
    let part = subgroupAdd(value);
    let first = subgroupExclusiveAdd(1u);
    let size = subgroupAdd(1u);
    reduce_cells[lane] = select(0.0, part, first == 0u);
    workgroupBarrier();
    var sum = 0.0;
    for (var i = first; i < LANES; i += size) {
        sum += reduce_cells[i];
    }
    let total = subgroupAdd(sum);
    workgroupBarrier();
    return total;
}

fn group_max(value: f32, lane: u32) -> f32 {
    let part = subgroupMax(value);
    let first = subgroupExclusiveAdd(1u);
    let size = subgroupAdd(1u);
    reduce_cells[lane] = part;
    workgroupBarrier();
    var top = REDUCE_LOWEST;
    for (var i = first; i < LANES; i += size) {
        top = max(top, reduce_cells[i]);
    }
    let largest = subgroupMax(top);
    workgroupBarrier();
    return largest;
}

fn group_sum4(value: vec4<f32>, lane: u32) -> vec4<f32> {
    let part = subgroupAdd(value);
    let first = subgroupExclusiveAdd(1u);
    let size = subgroupAdd(1u);
    reduce_quads[lane] = select(vec4<f32>(0.0), part, first == 0u);
    workgroupBarrier();
    var sum = vec4<f32>(0.0);
    for (var i = first; i < LANES; i += size) {
        sum += reduce_quads[i];
    }
    let total = subgroupAdd(sum);
    workgroupBarrier();
    return total;
}

fn group_max4(value: vec4<f32>, lane: u32) -> vec4<f32> {
    let part = subgroupMax(value);
    let first = subgroupExclusiveAdd(1u);
    let size = subgroupAdd(1u);
    reduce_quads[lane] = part;
    workgroupBarrier();
    var top = vec4<f32>(REDUCE_LOWEST);
    for (var i = first; i < LANES; i += size) {
        top = max(top, reduce_quads[i]);
    }
    let largest = subgroupMax(top);
    workgroupBarrier();
    return largest;
}
