// Role reduce: sum and maximum over a workgroup that is a single subgroup; *4 by component.
//
// Relies on LANES being the only subgroup size of the device, so that one subgroup holds the workgroup.
// Promise: every lane gets the same value. No barriers, but subgroup operations: call it in uniform control flow.

fn group_sum(value: f32, lane: u32) -> f32 {
    return subgroupAdd(value);
}

fn group_max(value: f32, lane: u32) -> f32 {
    return subgroupMax(value);
}

fn group_sum4(value: vec4<f32>, lane: u32) -> vec4<f32> {
    return subgroupAdd(value);
}

fn group_max4(value: vec4<f32>, lane: u32) -> vec4<f32> {
    return subgroupMax(value);
}
