// Role xy: rows of any width from 4, of which some together are whole quads, read and written by aligned quads.
//
// A row begins and ends inside a quad. Its first and last quads hold cells of its neighbours: these weigh 0. A quad
// that ends in the next row is not written: the next row writes it, so whoever takes the one takes the other. Promise:
// quads 0 .. quads() of a row cover its cells once. Arithmetic is in f32. No barriers.

alias XCell = Elem4;
alias YCell = Elem4;

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
    let start = row * params.cols;
    if 4u * i + 4u <= start % 4u + params.cols {
        y[start / 4u + i] = YCell(v);
    }
}
