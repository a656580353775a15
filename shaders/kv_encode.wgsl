// Writes new keys or values into their rows of a cache of another type:
//
//     row slots[t] of the cache = the cells x[t, x_offset ..], units of 64 values, each encoded by itself
//
// A slot beyond the cache is skipped: padding rows carry u32 max. Slots that are not skipped are distinct. What a unit
// has beyond the row's last column is 0. A lane takes a unit: units are whole words, so nobody else writes to these.
//
// Parts: elem (the activation type), keep (KEEP_WORDS, keep_unit), stream (bytes into words; for keep)

struct Params {
    tokens: u32,
    cols: u32,
    units: u32, // of a row
    x_cols: u32,
    x_offset: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Elem>; // [tokens, x_cols]
@group(0) @binding(2) var<storage, read> slots: array<u32>; // [tokens]
@group(0) @binding(3) var<storage, read_write> y: array<u32>; // [rows, units, KEEP_WORDS], updated in place

override LANES: u32 = 64;

// Value i of the unit that begins at element `first` of x and has `count` values.
fn unit_value(first: u32, count: u32, i: u32) -> f32 {
    return select(0.0, f32(x[first + min(i, count - 1u)]), i < count);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = (group.x + group.y * groups.x) * LANES + lane;
    let token = index / params.units;
    if token >= params.tokens {
        return;
    }
    let slot = slots[token];
    if slot >= params.rows {
        return;
    }
    let unit = index % params.units;
    stream_start((slot * params.units + unit) * KEEP_WORDS);
    keep_unit(token * params.x_cols + params.x_offset + 64u * unit, min(64u, params.cols - 64u * unit));
    stream_end();
}
