// The ceiling of memory: y = x, sixteen bytes a lane at a time.
//
// Work is cut into workgroups of LANES quads; neighbouring lanes touch neighbouring quads.
//
// Parts: none

struct Params {
    quads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [quads]
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>; // [quads]

override LANES: u32 = 64;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let quad = (group.x + group.y * groups.x) * LANES + lane;
    if quad < params.quads {
        y[quad] = x[quad];
    }
}
