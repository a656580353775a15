// Role write: what the value differs by from what the state gives for its key, times a rate. Binds beta.

@group(1) @binding(1) var<storage, read> beta: array<Elem>; // [batch * tokens, heads] or [batch * tokens, 1]

fn write_value(token: u32, head: u32, value: f32, found: f32) -> f32 {
    return f32(beta[token * params.beta_token + head * params.beta_head]) * (value - found);
}
