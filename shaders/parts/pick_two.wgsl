// Role pick: the rows of `a`, then those of `b`, indices clamped to the whole. Uses params.cols, params.a_rows,
// params.b_rows; owns the bindings `a` and `b`.

@group(1) @binding(0) var<storage, read> a: array<Cell>; // [a_rows, cols]
@group(1) @binding(1) var<storage, read> b: array<Cell>; // [b_rows, cols]

fn pick(i: u32, col: u32) -> Num {
    if i < params.a_rows {
        return Num(a[i * params.cols + col]);
    }
    return Num(b[min(i - params.a_rows, params.b_rows - 1u) * params.cols + col]);
}
