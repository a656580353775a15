// Whether two cells are in one of the wanted orders:
//
//     y[i] = bit order(x[i], b[i]) of WANTED,  order: 0 below, 1 equal, 2 above, 3 neither, where one is NaN
//
// so that 1 is less, 3 less or equal, 2 equal, 13 not equal, 8 NaN.
//
// A lane takes STEPS neighbouring cells.
//
// Parts: unit (Unit, a cell), order (order)

struct Params {
    items: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Unit>; // [items]
@group(0) @binding(2) var<storage, read> b: array<Unit>; // [items]
@group(0) @binding(3) var<storage, read_write> y: array<u32>; // [items], 0 or 1

override LANES: u32 = 64;
override STEPS: u32 = 1;
override WANTED: u32 = 2;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    let end = min(first + STEPS, params.items);
    for (var i = first; i < end; i++) {
        y[i] = (WANTED >> order(x[i], b[i])) & 1u;
    }
}
