// Role place: the element of x that is the maximum of a window, counted plane by plane, with the first axis of a plane
// fastest. Binds ids.

@group(0) @binding(3) var<storage, read_write> ids: array<u32>; // like y

fn place_put(item: u32, found: u32) {
    let col = found % params.x_x;
    let row = found / params.x_x % params.x_y;
    let layer = found / params.x_x / params.x_y;
    let cells = params.x_z * params.x_y * params.x_x;
    ids[item] = layer / params.x_z * cells + (col * params.x_y + row) * params.x_z + layer % params.x_z;
}
