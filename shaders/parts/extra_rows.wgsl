// Role extra: a row of an f32 table, chosen by token and clamped. Uses params.cols, params.extra_rows; owns the
// bindings `extra` and `extra_index`.

@group(2) @binding(0) var<storage, read> extra: array<Num>; // [extra_rows, cols]
@group(2) @binding(1) var<storage, read> extra_index: array<u32>; // [tokens]

fn extra_at(token: u32, col: u32) -> Num {
    return extra[min(extra_index[token], params.extra_rows - 1u) * params.cols + col];
}
