// Where the newest rows of sequences stand in their caches, from the sequences' lengths. Sequence s ends after
// end = lens[s] + plus rows, of which the last `queries` are new:
//
//     spans[s]        = s * q_step, queries, s * heads * rows, min(end, rows)         as attention takes them
//     positions[s, i] = p,  p = end - queries + i (0 where that is negative)          as rope takes them
//     slots[s, h, i]  = (s * heads + h) * rows + p, p modulo `rows` with WRAP         as kv_append takes them
//
// A slot whose p is not in the cache is u32 max: it is skipped. A lane takes one slot.
//
// Parts: none

struct Params {
    sequences: u32,
    queries: u32,
    heads: u32,
    rows: u32, // of the cache, for each head
    q_step: u32,
    plus: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> lens: array<u32>; // [sequences]
@group(0) @binding(2) var<storage, read_write> spans: array<u32>; // [sequences, 4]
@group(0) @binding(3) var<storage, read_write> positions: array<u32>; // [sequences, queries]
@group(0) @binding(4) var<storage, read_write> slots: array<u32>; // [sequences, heads, queries]

override LANES: u32 = 64;
override WRAP: bool = false;

const LONGEST: u32 = 1u << 29u;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = (group.x + group.y * groups.x) * LANES + lane;
    if item >= params.sequences * params.heads * params.queries {
        return;
    }
    let i = item % params.queries;
    let block = item / params.queries;
    let s = block / params.heads;
    let end = i32(min(lens[s], LONGEST)) + params.plus;
    var p = end - i32(params.queries) + i32(i);
    if block % params.heads == 0u {
        positions[s * params.queries + i] = u32(max(p, 0));
        if i == 0u {
            spans[4u * s] = s * params.q_step;
            spans[4u * s + 1u] = params.queries;
            spans[4u * s + 2u] = s * params.heads * params.rows;
            spans[4u * s + 3u] = u32(clamp(end, 0, i32(params.rows)));
        }
    }
    if WRAP && p >= 0 {
        p %= i32(params.rows);
    }
    let inside = p >= 0 && p < i32(params.rows);
    slots[item] = select(0xffffffffu, block * params.rows + u32(p), inside);
}
