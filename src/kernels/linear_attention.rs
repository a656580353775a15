//! Linear attention as a recurrence: plain, gated, by the delta rule, or both.

use super::{Cost, Entry, Io, Kernel, Launch, TensorType, elem_part, flat_limit, grid_2d, require};
use crate::reference::{self, Array, Cell};
use crate::{Caps, DType, Result};

/// `q` \[batch, tokens, heads * key_dim\], `k` \[batch, tokens, kv_heads * key_dim\], `v` \[batch, tokens, kv_heads *
/// value_dim\], `state` f32 \[batch, kv_heads, key_dim, value_dim\], with `decay` also `decay` \[batch, tokens, kv_heads\] or
/// \[.., kv_heads * key_dim\], with `delta` also `beta` \[batch, tokens, kv_heads\] or \[.., 1\]
/// -> `y` \[batch, tokens, heads * value_dim\], `state` updated in place.
///
/// The formula is in the shader. `decay` holds logarithms: the state is multiplied by their exponentials.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearAttention {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads, a divisor of `heads`: head h reads `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Factor of the outputs, usually `1 / sqrt(key_dim)`.
    pub scale: f32,
    /// The state decays before each token.
    pub decay: bool,
    /// What is written is the difference to what the state has (the delta rule).
    pub delta: bool,
}

pub(super) const ENTRY: Entry =
    Entry { name: "linear_attention", about: "a recurrent state in place of keys: plain, gated, delta rule" };

const LANES: u32 = 64;

impl LinearAttention {
    fn operand<'a>(&self, name: &str, inputs: &'a [TensorType]) -> Option<&'a TensorType> {
        self.inputs().iter().position(|n| *n == name).and_then(|at| inputs.get(at))
    }
}

impl Kernel for LinearAttention {
    fn name(&self) -> &'static str {
        ENTRY.name
    }
    fn inputs(&self) -> Vec<&'static str> {
        let mut names = vec!["q", "k", "v", "state"];
        names.extend(self.decay.then_some("decay"));
        names.extend(self.delta.then_some("beta"));
        names
    }
    fn outputs(&self) -> Vec<&'static str> {
        vec!["y", "state"]
    }
    fn updates(&self) -> Vec<(usize, usize)> {
        vec![(1, 3)]
    }
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        super::rows::arity(self, inputs)?;
        let grouped = self.kv_heads > 0 && self.heads > 0 && self.heads.is_multiple_of(self.kv_heads);
        require(self, grouped && self.scale.is_finite(), || format!("{} heads of {}", self.heads, self.kv_heads))?;
        let (q, k, v, state) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3]);
        let ([b, t, q_cols], [sb, sh, dk, dv]) = (extents(q), extents(state));
        let columns = |heads: usize, dim: usize| heads.checked_mul(dim);
        let like = |ty: &TensorType, cols: Option<usize>| {
            ty.dtype == q.dtype && ty.shape.len() == 3 && ty.shape[..2] == [b, t] && Some(ty.cols()) == cols
        };
        let fits =
            sb == b && sh == self.kv_heads && state.dtype == DType::F32 && Some(q_cols) == columns(self.heads, dk);
        let fits = fits && like(k, columns(self.kv_heads, dk)) && like(v, columns(self.kv_heads, dv));
        require(self, fits && b * t > 0 && dk.min(dv) > 0, || {
            format!("q {q}, k {k}, v {v}, state {state} do not match")
        })?;
        for (name, wide) in [("decay", columns(self.kv_heads, dk)), ("beta", Some(1))] {
            if let Some(ty) = self.operand(name, inputs) {
                let shaped = like(ty, Some(self.kv_heads)) || like(ty, wide);
                require(self, shaped, || format!("{name} {ty} does not match k {k}"))?;
            }
        }
        let y = TensorType::new(q.dtype, &[b, t, self.heads.saturating_mul(dv)]);
        for ty in inputs.iter().chain([&y]) {
            flat_limit(self, ty.shape.iter().fold(1, |n: usize, e| n.saturating_mul(*e)))?;
        }
        Ok(vec![y, state.clone()])
    }
    fn launch(&self, io: &Io<'_>, caps: &Caps) -> Result<Vec<Launch>> {
        let [b, t, _] = extents(&io.inputs[0]);
        let [_, _, dk, dv] = extents(&io.inputs[3]);
        let columns = b * self.kv_heads * dv;
        let word = |n: usize| n as u32;
        let decay = self
            .operand("decay", io.inputs)
            .map_or([0; 3], |ty| if ty.cols() == self.kv_heads { [ty.cols(), 1, 0] } else { [ty.cols(), dk, 1] });
        let beta = self.operand("beta", io.inputs).map_or([0; 2], |ty| [ty.cols(), usize::from(ty.cols() > 1)]);
        let decays = if self.decay { "parts/decay_given" } else { "parts/decay_none" };
        let writes = if self.delta { "parts/write_delta" } else { "parts/write_plain" };
        Ok(vec![Launch {
            files: vec![ENTRY.name, elem_part(io.inputs[0].dtype, caps)?, decays, writes],
            overrides: vec![("LANES", LANES.into())],
            params: vec![
                ("columns", word(columns)),
                ("tokens", word(t)),
                ("heads", word(self.kv_heads)),
                ("group", word(self.heads / self.kv_heads)),
                ("key_dim", word(dk)),
                ("value_dim", word(dv)),
                ("scale", self.scale.to_bits()),
                ("decay_token", word(decay[0])),
                ("decay_head", word(decay[1])),
                ("decay_dim", word(decay[2])),
                ("beta_token", word(beta[0])),
                ("beta_head", word(beta[1])),
            ],
            grid: grid_2d(columns.div_ceil(LANES as usize), caps)?,
            chunk: None,
        }])
    }
    fn cost(&self, io: &Io<'_>) -> Cost {
        // A token reads and writes the state once, and reads it once for each query head.
        let [_, t, _] = extents(&io.inputs[0]);
        let passes = (t * (1 + self.heads / self.kv_heads + usize::from(self.delta))) as u64;
        Cost::product(io, io.inputs[3].elements() as u64 * passes)
    }
    fn oracle(&self, inputs: &[Array], output: usize, row: usize) -> Vec<Cell> {
        reference::linear_attention(self, inputs, output, row)
    }
    fn show(&self) -> String {
        let Self { heads, kv_heads, scale, decay, delta } = self;
        let gates = [decay.then_some(" gated"), delta.then_some(" delta")];
        format!("heads={heads}/{kv_heads} scale={scale}{}", gates.into_iter().flatten().collect::<String>())
    }
}

/// The extents of a tensor of `N` axes; zeros of another.
fn extents<const N: usize>(ty: &TensorType) -> [usize; N] {
    ty.shape[..].try_into().unwrap_or([0; N])
}
