// Role bias: none.

fn bias_at(n: u32) -> f32 {
    return 0.0;
}

fn bias_quad(n: u32) -> vec4<f32> {
    return vec4<f32>(0.0);
}
