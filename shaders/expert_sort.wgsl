// The order of routed tokens by expert, stable: a counting sort. Assignment a sends token a / top to ids[a].
//
//     order[p] = the assignment at place p, places of an expert being neighbours, in order of the assignments
//     spans[e] = first place of expert e, and how many it has
//     place[a] = where assignment a went
//
// Without a capacity expert e begins where e - 1 ends, and nothing is dropped. With CAPACITY expert e begins at
// e * CAPACITY; assignments beyond it are dropped (their place is 0xffffffff), places without one hold 0xffffffff.
//
// One workgroup an expert. Each lane takes a run of assignments and counts those of the expert and of lower ones; sums
// over the lanes before give it the first place to write to. Ids are clamped.

struct Params {
    assignments: u32,
    experts: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>; // [assignments]
@group(0) @binding(2) var<storage, read_write> order: array<u32>; // [assignments] or [experts * CAPACITY]
@group(0) @binding(3) var<storage, read_write> spans: array<u32>; // [experts, 2]
@group(0) @binding(4) var<storage, read_write> place: array<u32>; // [assignments]

override LANES: u32 = 64;
override CAPACITY: u32 = 0u;

var<workgroup> counts: array<vec2<u32>, LANES>; // of lower experts, of this one

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let expert = group.x + group.y * groups.x;
    if expert >= params.experts {
        return;
    }
    let run = (params.assignments + LANES - 1u) / LANES;
    let first = min(lane * run, params.assignments);
    let end = min(first + run, params.assignments);
    var mine = vec2<u32>();
    for (var a = first; a < end; a++) {
        let id = min(ids[a], params.experts - 1u);
        mine += vec2<u32>(u32(id < expert), u32(id == expert));
    }
    counts[lane] = mine;
    workgroupBarrier();
    var all = vec2<u32>();
    var before = 0u;
    for (var i = 0u; i < LANES; i++) {
        all += counts[i];
        before += select(0u, counts[i].y, i < lane);
    }
    let start = select(all.x, expert * CAPACITY, CAPACITY > 0u);
    let room = select(all.y, min(all.y, CAPACITY), CAPACITY > 0u);
    var next = before;
    for (var a = first; a < end; a++) {
        if min(ids[a], params.experts - 1u) == expert {
            let fits = next < room;
            place[a] = select(0xffffffffu, start + next, fits);
            if fits {
                order[start + next] = a;
            }
            next++;
        }
    }
    for (var i = room + lane; i < CAPACITY; i += LANES) {
        order[start + i] = 0xffffffffu;
    }
    if lane == 0u {
        spans[2u * expert] = start;
        spans[2u * expert + 1u] = room;
    }
}
