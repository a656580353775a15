//! Linear attention, token by token.

use super::{Array, Cell, F32_EPS, store_error};
use crate::kernels::LinearAttention;

/// A number with the largest error of its f32 form so far.
#[derive(Clone, Copy, Default)]
struct Held {
    value: f64,
    error: f64,
}

impl Held {
    /// A result that rounds once.
    fn rounded(value: f64, error: f64) -> Self {
        Self { value, error: error + F32_EPS * (value.abs() + error) + f64::from(f32::MIN_POSITIVE) }
    }
    fn times(self, factor: f64, own: f64) -> Self {
        Self::rounded(self.value * factor, self.error * (factor.abs() + own) + self.value.abs() * own)
    }
    fn plus(self, other: Self) -> Self {
        Self::rounded(self.value + other.value, self.error + other.error)
    }
}

/// Row `row` of y (output 0) or of the state (output 1) of [`LinearAttention`].
///
/// Bound: a running analysis: every operation adds half an ulp of its result to the errors that its operands bring;
/// exp adds 3 + 2 |x| ulp, as WGSL allows. It is rerun for each row, from the first token.
pub fn linear_attention(spec: &LinearAttention, inputs: &[Array], output: usize, row: usize) -> Vec<Cell> {
    let (q, state) = (&inputs[0], &inputs[3]);
    let tokens = q.shape[1];
    let (dk, dv) = (state.shape[2], state.shape[3]);
    let group = spec.heads / spec.kv_heads;
    if output == 1 {
        let (batch, head, d) = (row / dk / spec.kv_heads, row / dk % spec.kv_heads, row % dk);
        let cell = |m: usize| {
            let held = column(spec, inputs, [batch, head, m], tokens)[d];
            Cell { want: held.value, bound: held.error }
        };
        return (0..dv).map(cell).collect();
    }
    let (batch, t) = (row / tokens, row % tokens);
    let mut cells = Vec::new();
    for head in 0..spec.heads {
        for m in 0..dv {
            let column = column(spec, inputs, [batch, head / group, m], t + 1);
            let query = &q.row(row)[head * dk..][..dk];
            let sum = column.iter().zip(query).fold(Held::default(), |sum, (s, q)| sum.plus(s.times(*q, 0.0)));
            let y = sum.times(f64::from(spec.scale), 0.0);
            cells.push(Cell { want: y.value, bound: y.error + store_error(y.value, q.dtype) });
        }
    }
    cells
}

/// Column m of the state of a head after so many tokens.
fn column(spec: &LinearAttention, inputs: &[Array], [batch, head, m]: [usize; 3], tokens: usize) -> Vec<Held> {
    let (k, v, state) = (&inputs[1], &inputs[2], &inputs[3]);
    let (dk, dv) = (state.shape[2], state.shape[3]);
    let first = (batch * spec.kv_heads + head) * dk;
    let mut held: Vec<Held> = (0..dk)
        .map(|d| Held { value: state.data[(first + d) * dv + m], error: f64::from(f32::MIN_POSITIVE) })
        .collect();
    for token in (0..tokens).map(|t| batch * k.shape[1] + t) {
        let key = &k.row(token)[head * dk..][..dk];
        if spec.decay {
            let decay = inputs[4].row(token);
            for (d, s) in held.iter_mut().enumerate() {
                let x = if decay.len() == spec.kv_heads { decay[head] } else { decay[head * dk + d] };
                *s = s.times(x.exp(), x.exp() * (6.0 + 4.0 * x.abs()) * F32_EPS);
            }
        }
        let mut written = Held { value: v.row(token)[head * dv + m], error: 0.0 };
        if spec.delta {
            let found = held.iter().zip(key).fold(Held::default(), |sum, (s, k)| sum.plus(s.times(*k, 0.0)));
            let beta = inputs[4 + usize::from(spec.decay)].row(token);
            let rate = beta[if beta.len() == 1 { 0 } else { head }];
            written = written.plus(Held { value: -found.value, error: found.error }).times(rate, 0.0);
        }
        for (s, k) in held.iter_mut().zip(key) {
            *s = s.plus(written.times(*k, 0.0));
        }
    }
    held
}
