// Role line: the products of one line of a window with the weights of its taps, for eight neighbouring places of y.
// Stride and dilation are 1 along x: a cell is loaded once and meets eight weights, which move on by one each time.

// `line` is where the line begins in x, `corner` the corner of the first place, `taps` the line's first weight.
fn line_sums(line: u32, corner: vec3<u32>, taps: u32) -> mat2x4<f32> {
    var a = vec4<f32>();
    var b = vec4<f32>();
    var near = vec4<f32>();
    var far = vec4<f32>();
    for (var k = 0u; k < params.window_x + 7u; k++) {
        let weight = select(0.0, w[taps + min(k, params.window_x - 1u)], k < params.window_x);
        far = vec4<f32>(near.w, far.xyz);
        near = vec4<f32>(weight, near.xyz);
        let col = corner.z + k;
        let inside = col < params.x_x;
        let cell = vec4<f32>(select(0.0, f32(x[line + select(0u, col, inside)]), inside));
        a = fma(near, cell, a);
        b = fma(far, cell, b);
    }
    return mat2x4<f32>(a, b);
}
