// Role pick: one source of rows, indices clamped to it. Uses params.cols, params.a_rows; owns the binding `a`.

@group(1) @binding(0) var<storage, read> a: array<Cell>; // [a_rows, cols]

fn pick(i: u32, col: u32) -> Num {
    return Num(a[min(i, params.a_rows - 1u) * params.cols + col]);
}
