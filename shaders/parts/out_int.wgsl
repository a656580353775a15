// Role out: sums as they are. Binds y.

@group(0) @binding(7) var<storage, read_write> y: array<i32>; // [batch, rows, cols]

fn put(line: u32, n: u32, sum: i32) {
    y[line * params.cols + n] = sum;
}
