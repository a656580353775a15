// Role glu: the gate in x, up in a matrix of its own, b. No barriers.

fn gate_quad(row: u32, i: u32) -> vec4<f32> {
    return x_quad(row, i);
}

fn up_quad(row: u32, i: u32) -> vec4<f32> {
    return b_quad(row, i);
}
