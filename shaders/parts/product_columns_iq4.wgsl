// Role products: each of four columns by itself (role product), with the table of IQ4 in the lanes.

var<private> iq4_lanes: vec2<f32>;

// As iq4_values.
fn iq4_looked_up(codes: vec4<u32>) -> vec4<f32> {
    return lane_table(codes, iq4_lanes);
}

fn w_products(
    run: u32, lane: u32, col: vec4<u32>, a: mat4x4<f32>, b: mat4x4<f32>, c: mat4x4<f32>, d: mat4x4<f32>
) -> vec4<f32> {
    iq4_lanes = vec2<f32>(iq4_value(lane), iq4_value(8u + lane));
    return vec4<f32>(
        w_product(run, col.x, a, b, c, d),
        w_product(run, col.y, a, b, c, d),
        w_product(run, col.z, a, b, c, d),
        w_product(run, col.w, a, b, c, d),
    );
}
