// Role decay: exp of a logarithm by token, by head, and by dimension of the keys where its stride is not 0. Binds decay.

@group(1) @binding(0) var<storage, read> decay: array<Elem>; // [batch * tokens, heads] or [.., heads * key_dim]

fn decay_factor(token: u32, head: u32, d: u32) -> f32 {
    return exp(f32(decay[token * params.decay_token + head * params.decay_head + d * params.decay_dim]));
}
