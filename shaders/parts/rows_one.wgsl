// Role rows: a workgroup takes one row, as four streams: the quarters of the row.
//
// A block is one quad of each stream, the columns of a mat4x4; neighbouring lanes take neighbouring quads, and
// four loads are under way at once. Promise: blocks 0 .. blocks() cover the row once; what lies beyond it
// weighs 0 and is not written. merge_* join the four streams: all components are equal then. No barriers.

const ROWS: u32 = 1u;

fn blocks() -> u32 {
    return (quads() + 3u) / 4u;
}

fn block_quads(i: u32) -> vec4<u32> {
    return vec4<u32>(i) + blocks() * vec4<u32>(0u, 1u, 2u, 3u);
}

fn block_load(row: u32, i: u32) -> mat4x4<f32> {
    let q = min(block_quads(i), vec4<u32>(quads() - 1u));
    return mat4x4<f32>(x_quad(row, q.x), x_quad(row, q.y), x_quad(row, q.z), x_quad(row, q.w));
}

fn block_weight(row: u32, i: u32) -> mat4x4<f32> {
    let q = block_quads(i);
    let in_row = select(vec4<f32>(0.0), vec4<f32>(1.0), q < vec4<u32>(quads()));
    return mat4x4<f32>(
        quad_weight(row, q.x) * in_row.x,
        quad_weight(row, q.y) * in_row.y,
        quad_weight(row, q.z) * in_row.z,
        quad_weight(row, q.w) * in_row.w,
    );
}

fn block_put(row: u32, i: u32, v: mat4x4<f32>) {
    let q = block_quads(i);
    y_put(row, q.x, v[0]);
    if q.y < quads() {
        y_put(row, q.y, v[1]);
    }
    if q.z < quads() {
        y_put(row, q.z, v[2]);
    }
    if q.w < quads() {
        y_put(row, q.w, v[3]);
    }
}

fn merge_sum(v: vec4<f32>) -> vec4<f32> {
    return vec4<f32>((v.x + v.y) + (v.z + v.w));
}

fn merge_max(v: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(max(max(v.x, v.y), max(v.z, v.w)));
}
