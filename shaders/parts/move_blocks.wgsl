// Role move: an item is a block of 4 x 4 words, transposed in registers. Units are quads: the four of x lie along the
// axis that is dense in x, the four of y along the last. Eight accesses for sixteen words, where units of a word would
// take thirty-two. No barriers.

fn move_item(at_x: u32, at_y: u32) {
    let a = x[at_x];
    let b = x[at_x + params.x_step];
    let c = x[at_x + 2u * params.x_step];
    let d = x[at_x + 3u * params.x_step];
    y[at_y] = Unit(a.x, b.x, c.x, d.x);
    y[at_y + params.y_step] = Unit(a.y, b.y, c.y, d.y);
    y[at_y + 2u * params.y_step] = Unit(a.z, b.z, c.z, d.z);
    y[at_y + 3u * params.y_step] = Unit(a.w, b.w, c.w, d.w);
}
