// Role window: the cells of x whose windows, sliding over y, have their tap at a place of y, by axis (z, y, x).
//
// Between the windows of neighbouring cells lies a stride: for many taps there is no cell, and window_cell gives a
// place beyond every extent.

override STRIDE_Z: u32 = 1u;
override STRIDE_Y: u32 = 1u;
override STRIDE_X: u32 = 1u;

fn window_corner(place: vec3<u32>) -> vec3<u32> {
    return place + vec3<u32>(params.pad_z, params.pad_y, params.pad_x);
}

fn window_cell(corner: vec3<u32>, tap: vec3<u32>) -> vec3<u32> {
    // Before the first window this is a huge number, also once divided.
    let way = corner - tap * vec3<u32>(params.dilation_z, params.dilation_y, params.dilation_x);
    let cell = vec3<u32>(way.x / STRIDE_Z, way.y / STRIDE_Y, way.z / STRIDE_X);
    let met = cell * vec3<u32>(STRIDE_Z, STRIDE_Y, STRIDE_X) == way;
    return select(vec3<u32>(0xffffffffu), cell, met);
}
