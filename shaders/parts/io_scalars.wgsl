// Role io: stores up to four columns of a row, of any width, but none beyond the chunk.

@group(0) @binding(5) var<storage, read_write> y: array<Elem>; // [rows, cols]

fn y_quad(row: u32, n: u32, values: vec4<f32>) {
    let first = row * params.cols + n;
    let count = params.first_col + params.chunk_cols - n;
    y[first] = Elem(values.x);
    if count > 1u {
        y[first + 1u] = Elem(values.y);
    }
    if count > 2u {
        y[first + 2u] = Elem(values.z);
    }
    if count > 3u {
        y[first + 3u] = Elem(values.w);
    }
}
