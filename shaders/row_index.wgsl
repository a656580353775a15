// Row numbers of tuples of coordinates, as `gather` and `scatter` take them:
//
//     y[t] = (..(c0 e1 + c1) e2 + ..) e5 + c5,  c = index[t, 0], index[t, 1], ..
//
// Negative coordinates count from the end of their axis; what lies outside the axis is clamped to it.
//
// A lane takes STEPS neighbouring tuples.
//
// Parts: index (coordinate, one of the tuple's numbers on an axis)

struct Params {
    tuples: u32,
    depth: u32, // coordinates of a tuple
    e0: u32, // extents of the axes
    e1: u32,
    e2: u32,
    e3: u32,
    e4: u32,
    e5: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<u32>; // [tuples]

override LANES: u32 = 64;
override STEPS: u32 = 1;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var extents = array(params.e0, params.e1, params.e2, params.e3, params.e4, params.e5);
    let first = ((group.x + group.y * groups.x) * LANES + lane) * STEPS;
    let end = min(first + STEPS, params.tuples);
    for (var tuple = first; tuple < end; tuple++) {
        var row = 0u;
        for (var axis = 0u; axis < params.depth; axis++) {
            row = row * extents[axis] + coordinate(tuple * params.depth + axis, extents[axis]);
        }
        y[tuple] = row;
    }
}
