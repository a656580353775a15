// Linear attention as a recurrence over a matrix of state for each key and value head, S [key_dim, value_dim]. For
// each token t in turn:
//
//     S[d, m] *= exp(decay[t, d])                                          with the part decay_given
//     u[m] = v[t, m]                                                       with the part write_plain
//     u[m] = beta[t] (v[t, m] - sum_d S[d, m] k[t, d])                     with the part write_delta
//     S[d, m] += k[t, d] u[m]
//     y[t, h, m] = scale * sum_d q[t, h, d] S[d, m]                        for each query head h of the group
//
// The delta rule and its gates: Schlag et al. 2021, Yang et al. 2024. S is updated in place.
//
// A lane owns one column m of one head's S: no lane waits for another.
//
// Parts: elem (Elem), decay (decay_factor), write (write_value)

struct Params {
    columns: u32, // batch * heads * value_dim
    tokens: u32, // of a sequence
    heads: u32, // of keys and values
    group: u32, // query heads a key head
    key_dim: u32,
    value_dim: u32,
    scale: f32,
    decay_token: u32, // strides of decay and beta
    decay_head: u32,
    decay_dim: u32,
    beta_token: u32,
    beta_head: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Elem>; // [batch, tokens, heads * group, key_dim]
@group(0) @binding(2) var<storage, read> k: array<Elem>; // [batch, tokens, heads, key_dim]
@group(0) @binding(3) var<storage, read> v: array<Elem>; // [batch, tokens, heads, value_dim]
@group(0) @binding(4) var<storage, read_write> state: array<f32>; // [batch, heads, key_dim, value_dim]
@group(0) @binding(5) var<storage, read_write> y: array<Elem>; // [batch, tokens, heads * group, value_dim]

override LANES: u32 = 64;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let column = (group.x + group.y * groups.x) * LANES + lane;
    if column >= params.columns {
        return;
    }
    let m = column % params.value_dim;
    let head = column / params.value_dim % params.heads;
    let batch = column / params.value_dim / params.heads;
    let own = (batch * params.heads + head) * params.key_dim * params.value_dim + m;
    for (var t = 0u; t < params.tokens; t++) {
        let token = batch * params.tokens + t;
        let k_at = (token * params.heads + head) * params.key_dim;
        var found = 0.0;
        for (var d = 0u; d < params.key_dim; d++) {
            let s = state[own + d * params.value_dim] * decay_factor(token, head, d);
            state[own + d * params.value_dim] = s;
            found = fma(s, f32(k[k_at + d]), found);
        }
        let u = write_value(token, head, f32(v[(token * params.heads + head) * params.value_dim + m]), found);
        for (var d = 0u; d < params.key_dim; d++) {
            state[own + d * params.value_dim] = fma(f32(k[k_at + d]), u, state[own + d * params.value_dim]);
        }
        for (var g = 0u; g < params.group; g++) {
            let row = (token * params.heads + head) * params.group + g;
            var sum = 0.0;
            for (var d = 0u; d < params.key_dim; d++) {
                sum = fma(f32(q[row * params.key_dim + d]), state[own + d * params.value_dim], sum);
            }
            y[row * params.value_dim + m] = Elem(sum * params.scale);
        }
    }
}
