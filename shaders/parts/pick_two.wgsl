// Role pick: the rows of `a`, then those of `b`, indices clamped to the whole. Uses params.cols, params.a_rows,
// params.b_rows; owns the bindings `a` and `b`.

@group(1) @binding(0) var<storage, read> a: array<Elem>; // [a_rows, cols]
@group(1) @binding(1) var<storage, read> b: array<Elem>; // [b_rows, cols]

fn pick(i: u32, col: u32) -> f32 {
    if i < params.a_rows {
        return f32(a[i * params.cols + col]);
    }
    return f32(b[min(i - params.a_rows, params.b_rows - 1u) * params.cols + col]);
}
