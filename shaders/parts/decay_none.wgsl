// Role decay: the state is kept whole.

fn decay_factor(token: u32, head: u32, d: u32) -> f32 {
    return 1.0;
}
