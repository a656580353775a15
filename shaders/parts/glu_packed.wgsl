// Role glu: gate and up side by side in one matrix, as rows of half the width: gate 2 row, up 2 row + 1.
// No barriers.

fn gate_quad(row: u32, i: u32) -> vec4<f32> {
    return x_quad(2u * row, i);
}

fn up_quad(row: u32, i: u32) -> vec4<f32> {
    return x_quad(2u * row + 1u, i);
}
