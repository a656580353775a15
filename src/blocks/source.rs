//! Where the rows of a weight come from: tensors of the checkpoint stacked, cut, transposed, sorted or summed.
//!
//! A weight's name in a graph is a list of parts joined by `+`. Layers that read one input are one matrix that way,
//! and layouts of other codes become ours when the checkpoint is loaded, not while the model runs. Here: the form of
//! such names. Not here: reading (`generate`).

use crate::{Error, Result};
use std::fmt;

/// Rows of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'n> {
    /// A whole tensor.
    Tensor(&'n str),
    /// So many rows of zeros.
    Zeros(usize),
    /// Rows `first .. first + count` of a tensor: the queries of `nn.MultiheadAttention`'s `in_proj_weight`.
    Rows {
        /// The tensor.
        name: &'n str,
        /// First row.
        first: usize,
        /// Number of rows.
        count: usize,
    },
    /// Elements `first .. first + count` of a tensor, for weights that are no matrices: rows of a table among other tables.
    Elements {
        /// The tensor.
        name: &'n str,
        /// First element.
        first: usize,
        /// Number of elements.
        count: usize,
    },
    /// A tensor that is stored \[k, n\], for `x @ p` instead of a linear layer.
    Transposed(&'n str),
    /// A tensor whose rows run \[groups, parts, unit\], brought to \[parts, groups, unit\]: with the parts q, k, v and
    /// units of a head, a fused projection that is stored head by head.
    Sorted {
        /// The tensor.
        name: &'n str,
        /// Parts of a group.
        parts: usize,
        /// Rows of a part in a group.
        unit: usize,
    },
    /// A convolution's weight \[n, channels, frames, height, width\] summed over its frames: what it does to a still
    /// picture that is shown as equal frames.
    Frames(&'n str),
    /// Two tensors of one shape added up: the frames of [`Part::Frames`] where each is a tensor.
    Added {
        /// The first.
        name: &'n str,
        /// The other.
        other: &'n str,
    },
    /// So many rows of the hyperbolic tangent of a tensor of one number: a gate as gains.
    Gate {
        /// The tensor.
        name: &'n str,
        /// Number of rows.
        count: usize,
    },
    /// The numbers of a tensor as rows of the weight's width, whatever its own rows are.
    Flat(&'n str),
    /// One part of what [`Part::Sorted`] sorts: the queries alone.
    Every {
        /// The tensor.
        name: &'n str,
        /// Which part.
        part: usize,
        /// Parts of a group.
        parts: usize,
        /// Rows of a part in a group.
        unit: usize,
    },
    /// A tensor whose columns run \[pixels, channels\], brought to \[channels, pixels\] as planes have them.
    Planar {
        /// The tensor.
        name: &'n str,
        /// Channels of a pixel.
        channels: usize,
    },
}

impl<'n> Part<'n> {
    /// The parts of a weight's name.
    ///
    /// # Errors
    /// [`Error::Graph`] for a form that does not exist.
    pub fn parse(name: &'n str) -> Result<Vec<Self>> {
        name.split('+').map(|part| Self::one(part).ok_or_else(|| unread(part))).collect()
    }
    fn one(part: &'n str) -> Option<Self> {
        let Some((form, rest)) = part.split_once('(') else { return Some(Self::Tensor(part)) };
        let inner = rest.strip_suffix(')')?;
        let fields: Vec<&str> = inner.split(',').collect();
        let number = |text: &str| text.parse::<usize>().ok();
        match (form, &fields[..]) {
            ("zeros", [count]) => Some(Self::Zeros(number(count)?)),
            ("rows", [name, first, count]) => Some(Self::Rows { name, first: number(first)?, count: number(count)? }),
            ("elements", [name, first, count]) => {
                Some(Self::Elements { name, first: number(first)?, count: number(count)? })
            }
            ("transposed", [name]) => Some(Self::Transposed(name)),
            ("frames", [name]) => Some(Self::Frames(name)),
            ("added", [name, other]) => Some(Self::Added { name, other }),
            ("gate", [name, count]) => Some(Self::Gate { name, count: number(count)? }),
            ("flat", [name]) => Some(Self::Flat(name)),
            ("sorted", [name, parts, unit]) => Some(Self::Sorted { name, parts: number(parts)?, unit: number(unit)? }),
            ("every", [name, part, parts, unit]) => {
                Some(Self::Every { name, part: number(part)?, parts: number(parts)?, unit: number(unit)? })
            }
            ("planar", [name, channels]) => Some(Self::Planar { name, channels: number(channels)? }),
            _ => None,
        }
    }
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor(name) => write!(f, "{name}"),
            Self::Zeros(count) => write!(f, "zeros({count})"),
            Self::Rows { name, first, count } => write!(f, "rows({name},{first},{count})"),
            Self::Elements { name, first, count } => write!(f, "elements({name},{first},{count})"),
            Self::Transposed(name) => write!(f, "transposed({name})"),
            Self::Frames(name) => write!(f, "frames({name})"),
            Self::Added { name, other } => write!(f, "added({name},{other})"),
            Self::Gate { name, count } => write!(f, "gate({name},{count})"),
            Self::Flat(name) => write!(f, "flat({name})"),
            Self::Sorted { name, parts, unit } => write!(f, "sorted({name},{parts},{unit})"),
            Self::Every { name, part, parts, unit } => write!(f, "every({name},{part},{parts},{unit})"),
            Self::Planar { name, channels } => write!(f, "planar({name},{channels})"),
        }
    }
}

fn unread(part: &str) -> Error {
    Error::graph(
        part,
        "is no part of a weight: a tensor, zeros, rows, elements, transposed, sorted, frames, added, gate, flat, every or planar",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let parts = [
            Part::Tensor("model.layers.0.weight"),
            Part::Zeros(7),
            Part::Rows { name: "attn.in_proj_weight", first: 128, count: 64 },
            Part::Elements { name: "embeddings.register_tokens", first: 96, count: 96 },
            Part::Transposed("proj"),
            Part::Sorted { name: "qkv.bias", parts: 3, unit: 16 },
            Part::Frames("patch_embed.proj.weight"),
            Part::Added { name: "patch_embed.proj.weight", other: "patch_embed.proj.weight.1" },
            Part::Gate { name: "gate_attn", count: 144 },
            Part::Flat("tile_embedding.weight"),
            Part::Every { name: "qkv.weight", part: 2, parts: 3, unit: 16 },
            Part::Planar { name: "patches.weight", channels: 3 },
        ];
        let name = parts.map(|p| p.to_string()).join("+");
        assert_eq!(Part::parse(&name).unwrap(), parts);
    }

    #[test]
    fn other_forms_are_errors() {
        for name in ["zeros(x)", "rows(a,1)", "sorted(a,3)", "zeros(1", "folded(a)", "a+zeros(-1)"] {
            assert!(matches!(Part::parse(name), Err(Error::Graph { .. })), "{name}");
        }
    }
}
