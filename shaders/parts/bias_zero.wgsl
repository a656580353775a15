// Role bias: none. No barriers.

fn bias_quad(i: u32) -> vec4<f32> {
    return vec4<f32>(0.0);
}
