//! The activation functions that kernels fuse into their epilogues or apply on their own.
//!
//! Here: their names and the value of the override `ACT`. The WGSL is `shaders/parts/act.wgsl`, the f64
//! definitions with their error bounds are in `reference::act`.

/// An activation function. Its number is the value of the override `ACT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// `x * Phi(x)` with the exact normal distribution (Hendrycks & Gimpel 2016).
    Gelu,
    /// `x * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`, the approximation of the same paper.
    GeluTanh,
    /// `x * sigmoid(1.702 x)` (CLIP).
    QuickGelu,
    /// `x * sigmoid(x)`, also called swish.
    Silu,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)^2` (So et al. 2021).
    Relu2,
}

/// The part that defines `act4(vec4<f32>)`, `act1(f32)` and the override `ACT`.
pub(crate) const ACT_PART: &str = "parts/act";

impl Act {
    /// Every activation, in the order of the override.
    pub const ALL: [Self; 6] = [Self::Gelu, Self::GeluTanh, Self::QuickGelu, Self::Silu, Self::Relu, Self::Relu2];

    /// Name as plans print it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::QuickGelu => "quick_gelu",
            Self::Silu => "silu",
            Self::Relu => "relu",
            Self::Relu2 => "relu2",
        }
    }

    /// Value of the override `ACT`; `None` is the identity.
    pub(crate) fn code(act: Option<Self>) -> f64 {
        act.map_or(6.0, |a| f64::from(a as u8))
    }
}
