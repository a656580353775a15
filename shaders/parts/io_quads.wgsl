// Role io: stores four columns of a row; the width, and a chunk's first column and width, are multiples of 4.

@group(0) @binding(5) var<storage, read_write> y: array<Elem4>; // [rows, cols / 4]

fn y_quad(row: u32, n: u32, values: vec4<f32>) {
    y[(row * params.cols + n) / 4u] = Elem4(values);
}
