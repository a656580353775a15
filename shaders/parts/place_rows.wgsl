// Role place: the element of x that is the maximum of a window, counted with the last axis fastest. Binds ids.

@group(0) @binding(3) var<storage, read_write> ids: array<u32>; // like y

fn place_put(item: u32, found: u32) {
    ids[item] = found;
}
