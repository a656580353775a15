// Role window: the cells of a window that slides over x, by axis (z, y, x).
//
// window_cell gives a place beyond every extent for what lies before the first cell.

// The place in x where the window of a place in y begins.
fn window_corner(place: vec3<u32>) -> vec3<u32> {
    let stride = vec3<u32>(params.stride_z, params.stride_y, params.stride_x);
    return place * stride - vec3<u32>(params.pad_z, params.pad_y, params.pad_x);
}

fn window_cell(corner: vec3<u32>, tap: vec3<u32>) -> vec3<u32> {
    return corner + tap * vec3<u32>(params.dilation_z, params.dilation_y, params.dilation_x);
}
