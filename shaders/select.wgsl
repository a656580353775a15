// A cell of one of two tensors: y[i] = x[i] where condition[i] is not 0, else b[i].
//
// A lane takes STEPS neighbouring cells.
//
// Parts: unit (Unit, a cell)

struct Params {
    items: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> condition: array<u32>; // [items]
@group(0) @binding(2) var<storage, read> x: array<Unit>; // [items]
@group(0) @binding(3) var<storage, read> b: array<Unit>; // [items]
@group(0) @binding(4) var<storage, read_write> y: array<Unit>; // [items]

override LANES: u32 = 64;
override STEPS: u32 = 1;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    let end = min(first + STEPS, params.items);
    for (var i = first; i < end; i++) {
        y[i] = select(b[i], x[i], condition[i] != 0u);
    }
}
