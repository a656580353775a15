// Role move: an item is one unit. No barriers.

fn move_item(at_x: u32, at_y: u32) {
    y[at_y] = x[at_x];
}
