//! Values as they are written in Rust: what a drawn row is printed with.

use crate::case::Fill;
use omma::DType;
use omma::image::{Coordinates, Interpolation, Resample, Rounding, Sampling};
use omma::kernels::*;
use omma::quant::Encoding;

/// A value that can be written in Rust, as it would stand in a case list.
pub trait Literal {
    /// The text.
    fn literal(&self) -> String;
}

/// The call of a function of the case list, with its values written out beside it.
macro_rules! row {
    ($function:ident ( $($argument:expr),* $(,)? )) => {
        $crate::draw::Drawn {
            row: format!(
                "{}({})",
                stringify!($function),
                [$($crate::draw::Literal::literal(&$argument)),*].join(", ")
            ),
            case: $function($($argument),*),
        }
    };
}
pub(crate) use row;

macro_rules! as_debug {
    ($($ty:ty),*) => { $(impl Literal for $ty {
        fn literal(&self) -> String {
            format!("{self:?}")
        }
    })* };
}
as_debug!(bool, usize, u32, u64, i32, i64, f32, f64, str);

/// Enumerations without values of other types in them.
macro_rules! enums {
    ($($ty:ident),*) => { $(impl Literal for $ty {
        fn literal(&self) -> String {
            format!("{}::{self:?}", stringify!($ty))
        }
    })* };
}
enums!(Act, BinaryOp, DType, Each, Fill, GridMode, GridPadding, IntegerOp, Items, PoolOp, Places, ReduceOp, ScanOp);
enums!(
    Coordinates,
    Lines,
    Resample,
    Rounding,
    Score,
    ScoreBias,
    ScoreStage,
    SmallFloat,
    Granularity,
    Whole,
    WordType,
    Mask,
    Border,
    Block,
    CacheFormat,
    ScaleType,
    Zero,
    PowerRounding
);

/// Structs by their members, all of which are named here.
macro_rules! structs {
    ($($ty:ident { $($member:ident),* })*) => { $(impl Literal for $ty {
        fn literal(&self) -> String {
            let $ty { $($member),* } = self;
            let members = [$(format!("{}: {}", stringify!($member), $member.literal())),*];
            format!("{} {{ {} }}", stringify!($ty), members.join(", "))
        }
    })* };
}
structs! {
    Argmax { axis, smallest, last, items }
    Attention {
        heads, kv_heads, head_dim, value_dim, scale, causal, window, ahead, shift, q_offset, k_offset, v_offset, q_block,
        k_block, softcap, mask, bias, sinks
    }
    AttentionDecode { heads, kv_heads, head_dim, scale, window, max_len, splits, q_offset }
    Axis { extent, stride }
    CachePlaces { queries, heads, rows, q_step, plus, wrap }
    Codes { bits, signed, block, align, scale, zero, ordered }
    Convolution { window, groups, bias, act, transposed }
    ExpertMatMul { per, capacity, bias }
    ExpertSort { experts, capacity }
    GridSample { mode, padding, align_corners }
    KvAppend { x_offset, cols }
    KvEncode { format, x_offset, cols }
    MatMul { bias, act, residual }
    MatMulInt { inner, x_signed, w_signed, x_zero, w_zero, scaled }
    MatVec { bias, act, residual }
    QuantizeRange { symmetric, levels }
    Rearrange { base, axes, shape }
    RoiAlign { size, samples, scale, aligned, max }
    Rope { heads, head_dim, rotary_dim, x_offset, interleaved, axes, block }
    Route { top, score, normalise, scale }
    SampleSettings { temperature, top_k, top_p, min_p, repetition_penalty, seed }
    Sampling { interpolation, coordinates, antialias, exclude_outside }
    Swiglu { interleaved, alpha, beta, limit }
    TopK { axis, k, smallest, items }
    Window { size, stride, dilation, pad, pad_end }
}

/// Enumerations with values of other types: those variants by hand, the others as they print.
macro_rules! nested {
    ($($ty:ident { $($variant:ident),* })*) => { $(impl Literal for $ty {
        fn literal(&self) -> String {
            match self {
                $($ty::$variant(inner) => {
                    format!("{}::{}({})", stringify!($ty), stringify!($variant), inner.literal())
                })*
                #[allow(unreachable_patterns, reason = "an enumeration may have no other variant")]
                other => format!("{}::{other:?}", stringify!($ty)),
            }
        }
    })* };
}
nested! {
    Encoding { Block }
    Interpolation { Nearest }
    Number { Small }
    Packing { Block, Codes }
    UnaryOp { Act }
}

impl Literal for Combine {
    fn literal(&self) -> String {
        match self {
            Combine::Integer(op, whole) => format!("Combine::Integer({}, {})", op.literal(), whole.literal()),
            other => format!("Combine::{other:?}"),
        }
    }
}

impl Literal for Windows {
    fn literal(&self) -> String {
        match self {
            Windows::Sliding { window, ceil } => {
                format!("Windows::Sliding {{ window: {}, ceil: {ceil} }}", window.literal())
            }
            Windows::Adaptive(sizes) => format!("Windows::Adaptive({})", sizes.literal()),
        }
    }
}

fn list<T: Literal>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(Literal::literal).collect::<Vec<_>>().join(", "))
}

impl<T: Literal> Literal for [T] {
    fn literal(&self) -> String {
        list(self)
    }
}
impl<T: Literal, const N: usize> Literal for [T; N] {
    fn literal(&self) -> String {
        list(self)
    }
}
impl<T: Literal> Literal for Vec<T> {
    fn literal(&self) -> String {
        format!("vec!{}", list(self))
    }
}
impl<T: Literal + ?Sized> Literal for &T {
    fn literal(&self) -> String {
        // Of a list, what a reference to it looks like; a text is one by itself.
        let text = (**self).literal();
        let text = text.strip_prefix("vec!").map_or(text.clone(), str::to_owned);
        if text.starts_with('"') { text } else { format!("&{text}") }
    }
}
impl<T: Literal> Literal for Option<T> {
    fn literal(&self) -> String {
        self.as_ref().map_or("None".into(), |v| format!("Some({})", v.literal()))
    }
}
impl<A: Literal, B: Literal> Literal for (A, B) {
    fn literal(&self) -> String {
        format!("({}, {})", self.0.literal(), self.1.literal())
    }
}
impl<A: Literal, B: Literal, C: Literal> Literal for (A, B, C) {
    fn literal(&self) -> String {
        format!("({}, {}, {})", self.0.literal(), self.1.literal(), self.2.literal())
    }
}
