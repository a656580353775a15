// Role line: the products of one line of a window with the weights of its taps, for eight neighbouring places of y.
// Any stride, dilation and window.

fn line_quad(line: u32, corner: vec3<u32>, tap: vec3<u32>) -> vec4<f32> {
    var values = vec4<f32>();
    for (var i = 0u; i < 4u; i++) {
        let col = window_cell(corner + vec3<u32>(0u, 0u, i * line_step()), tap).z;
        let inside = col < params.x_x;
        values[i] = select(0.0, f32(x[line + select(0u, col, inside)]), inside);
    }
    return values;
}

// From the corner of a place to that of its neighbour.
fn line_step() -> u32 {
    return window_corner(vec3<u32>(0u, 0u, 1u)).z - window_corner(vec3<u32>(0u)).z;
}

// `line` is where the line begins in x, `corner` the corner of the first place, `taps` the line's first weight.
fn line_sums(line: u32, corner: vec3<u32>, taps: u32) -> mat2x4<f32> {
    let second = corner + vec3<u32>(0u, 0u, 4u * line_step());
    var a = vec4<f32>();
    var b = vec4<f32>();
    for (var k = 0u; k < params.window_x; k++) {
        let tap = vec3<u32>(0u, 0u, k);
        let weight = vec4<f32>(w[taps + k]);
        a = fma(weight, line_quad(line, corner, tap), a);
        b = fma(weight, line_quad(line, second, tap), b);
    }
    return mat2x4<f32>(a, b);
}
