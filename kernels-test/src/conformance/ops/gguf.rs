//! Block formats of ggml: weights dequantised, and products with them.

use super::super::builder::{Builder, Mapped, Section, Stop};
use super::{Entry, quant_matmul};
use omma::kernels::{Block, Packing};

const GGML: &str = "ggml";

/// Mappings of this group.
pub static OPS: &[Entry] = &[
    (GGML, "gguf_IQ1_M", other),
    (GGML, "gguf_IQ1_S", other),
    (GGML, "gguf_IQ2_S", other),
    (GGML, "gguf_IQ2_XS", other),
    (GGML, "gguf_IQ2_XXS", other),
    (GGML, "gguf_IQ3_S", other),
    (GGML, "gguf_IQ3_XXS", other),
    (GGML, "gguf_IQ4_NL", |b| block(b, Block::Iq4Nl)),
    (GGML, "gguf_IQ4_XS", |b| block(b, Block::Iq4Xs)),
    (GGML, "gguf_MXFP4", |b| block(b, Block::Mxfp4)),
    (GGML, "gguf_NVFP4", |b| block(b, Block::Nvfp4)),
    (GGML, "gguf_Q1_0", |b| block(b, Block::Q1_0)),
    (GGML, "gguf_Q2_K", |b| block(b, Block::Q2K)),
    (GGML, "gguf_Q3_K", |b| block(b, Block::Q3K)),
    (GGML, "gguf_Q4_0", |b| block(b, Block::Q4_0)),
    (GGML, "gguf_Q4_1", |b| block(b, Block::Q4_1)),
    (GGML, "gguf_Q4_K", |b| block(b, Block::Q4K)),
    (GGML, "gguf_Q5_0", |b| block(b, Block::Q5_0)),
    (GGML, "gguf_Q5_1", |b| block(b, Block::Q5_1)),
    (GGML, "gguf_Q5_K", |b| block(b, Block::Q5K)),
    (GGML, "gguf_Q6_K", |b| block(b, Block::Q6K)),
    (GGML, "gguf_Q8_0", |b| block(b, Block::Q8_0)),
    (GGML, "gguf_TQ1_0", |b| block(b, Block::Tq1_0)),
    (GGML, "gguf_TQ2_0", |b| block(b, Block::Tq2_0)),
];

/// Operands x, w_blocks -> w_dequant, y.
fn block(b: &mut Builder<'_>, block: Block) -> Mapped {
    let shape = (b.int("N")? as usize, b.int("K")? as usize);
    let w = b.weight(Packing::Block(block), shape, &[Section::Input(1)])?;
    quant_matmul::both(b, w, None)
}

fn other(b: &mut Builder<'_>) -> Mapped {
    Stop::unsupported(format!("weight format {} is not there yet", b.text("ggml_type")?.to_lowercase()))
}
