// Every cell in another type: y[i] = convert(x[i]), a word a cell.
//
// A lane takes STEPS neighbouring cells.
//
// Parts: convert (convert, of a word), and what that part names

struct Params {
    cells: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>; // [cells]
@group(0) @binding(2) var<storage, read_write> y: array<u32>; // [cells]

override LANES: u32 = 64;
override STEPS: u32 = 1;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    for (var i = first; i < min(first + STEPS, params.cells); i++) {
        y[i] = convert(x[i]);
    }
}
