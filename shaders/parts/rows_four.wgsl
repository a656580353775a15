// Role rows: a workgroup takes four rows, as four streams: what is common to all rows is loaded once for four.
//
// A block is the same quad of each row, the columns of a mat4x4. Beyond the last row a stream repeats it: the
// same lane then writes the same values again. Promise: blocks 0 .. blocks() cover each row once. merge_* leave
// the streams apart. No barriers.

const ROWS: u32 = 4u;

fn blocks() -> u32 {
    return quads();
}

fn block_quads(i: u32) -> vec4<u32> {
    return vec4<u32>(i);
}

fn block_rows(row: u32) -> vec4<u32> {
    return min(vec4<u32>(row) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.rows - 1u));
}

fn block_load(row: u32, i: u32) -> mat4x4<f32> {
    let r = block_rows(row);
    return mat4x4<f32>(x_quad(r.x, i), x_quad(r.y, i), x_quad(r.z, i), x_quad(r.w, i));
}

fn block_weight(row: u32, i: u32) -> mat4x4<f32> {
    let r = block_rows(row);
    return mat4x4<f32>(quad_weight(r.x, i), quad_weight(r.y, i), quad_weight(r.z, i), quad_weight(r.w, i));
}

fn block_put(row: u32, i: u32, v: mat4x4<f32>) {
    let r = block_rows(row);
    y_put(r.x, i, v[0]);
    y_put(r.y, i, v[1]);
    y_put(r.z, i, v[2]);
    y_put(r.w, i, v[3]);
}

fn merge_sum(v: vec4<f32>) -> vec4<f32> {
    return v;
}

fn merge_max(v: vec4<f32>) -> vec4<f32> {
    return v;
}
