// Role xy: rows of any width, read and written cell by cell.
//
// Promise: quad `i` of a row holds its cells 4 i .. 4 i + 3; cells beyond the row repeat its last cell (so a
// maximum needs no mask), weigh 0 and are not written. Arithmetic is in f32. No barriers.

alias XCell = Elem;
alias YCell = Elem;

fn quads() -> u32 {
    return (params.cols + 3u) / 4u;
}

// For i < quads().
fn x_quad(row: u32, i: u32) -> vec4<f32> {
    let c = min(vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.cols - 1u));
    let at = vec4<u32>(row * params.cols) + c;
    return vec4<f32>(f32(x[at.x]), f32(x[at.y]), f32(x[at.z]), f32(x[at.w]));
}

// 1 for each cell of the quad that exists, else 0.
fn quad_weight(row: u32, i: u32) -> vec4<f32> {
    let c = vec4<u32>(4u * i) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(0.0), vec4<f32>(1.0), c < vec4<u32>(params.cols));
}

fn y_put(row: u32, i: u32, v: vec4<f32>) {
    let at = row * params.cols + 4u * i;
    let left = params.cols - 4u * i;
    y[at] = YCell(v.x);
    if left > 1u {
        y[at + 1u] = YCell(v.y);
    }
    if left > 2u {
        y[at + 2u] = YCell(v.z);
    }
    if left > 3u {
        y[at + 3u] = YCell(v.w);
    }
}
