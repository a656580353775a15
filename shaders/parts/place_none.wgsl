// Role place: where the maximum of a window lies is not kept.

fn place_put(item: u32, found: u32) {}
