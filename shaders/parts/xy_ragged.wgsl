// Role xy: rows of any width in a tensor of whole quads, read by aligned quads and written cell by cell.
//
// A row begins and ends inside a quad, so its first and last quads hold cells of its neighbours: these weigh 0 and
// are not written. Loads of quads cost a software adapter half of what loads of cells do. Promise: quads
// 0 .. quads() of a row cover its cells once; quad i of the row is not quad i of its columns, so it suits
// kernels without operands by column. Arithmetic is in f32. No barriers.

alias XCell = Elem4;
alias YCell = Elem;

fn quads() -> u32 {
    return (params.cols + 6u) / 4u;
}

// Columns of the cells of quad i; those before the row wrap around to large numbers.
fn quad_columns(row: u32, i: u32) -> vec4<u32> {
    return vec4<u32>(4u * i - (row * params.cols) % 4u) + vec4<u32>(0u, 1u, 2u, 3u);
}

// For i < quads().
fn x_quad(row: u32, i: u32) -> vec4<f32> {
    return vec4<f32>(x[min(row * params.cols / 4u + i, params.rows * params.cols / 4u - 1u)]);
}

// 1 for each cell of the quad that is in the row, else 0.
fn quad_weight(row: u32, i: u32) -> vec4<f32> {
    return select(vec4<f32>(0.0), vec4<f32>(1.0), quad_columns(row, i) < vec4<u32>(params.cols));
}

fn y_put(row: u32, i: u32, v: vec4<f32>) {
    let first = 4u * (row * params.cols / 4u + i);
    let own = quad_columns(row, i) < vec4<u32>(params.cols);
    if own.x {
        y[first] = YCell(v.x);
    }
    if own.y {
        y[first + 1u] = YCell(v.y);
    }
    if own.z {
        y[first + 2u] = YCell(v.z);
    }
    if own.w {
        y[first + 3u] = YCell(v.w);
    }
}
