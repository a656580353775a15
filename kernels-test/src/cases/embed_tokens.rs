//! embed_tokens: every table type, odd widths, ids beyond the vocabulary.

use crate::case::{Case, Fill, Input};
use crate::draw::{Draw, Drawn, row};
use omma::DType;
use omma::kernels::{EmbedTokens, TensorType};

fn case(tokens: usize, vocab: usize, cols: usize, table: DType, dtype: DType) -> Case {
    let name = format!("{tokens} of {vocab}x{cols} {table} to {dtype}");
    // A few ids lie beyond the vocabulary.
    let ids = Input::new(TensorType::u32(&[tokens]), Fill::Index(vocab as u32 + 2));
    Case::new(name, EmbedTokens { dtype }, vec![ids, Input::panels(table, vocab, cols)])
}

pub fn cases() -> Vec<Case> {
    use DType::{BF16, F16, F32};
    let far = Input::u32(&[4], &[u32::MAX, 0, 10, 11]);
    vec![
        case(1, 1, 1, F32, F32),
        case(5, 7, 3, F16, F32),
        case(5, 7, 5, BF16, F32),
        case(11, 13, 66, F32, F32),
        case(11, 13, 66, F16, F16),
        case(11, 13, 67, F32, F16),
        case(11, 13, 64, BF16, F16),
        case(65_537, 31, 3, F32, F32),
        Case::new("ids beyond", EmbedTokens { dtype: F32 }, vec![far, Input::panels(F32, 11, 9)]),
        case(9, 32_000, 64, F16, F32),
        case(512, 32_000, 4096, F16, F32).bench_only(),
        case(1, 32_000, 4096, F16, F32).bench_only(),
    ]
}

pub fn draw(d: &mut Draw) -> Drawn {
    let (tokens, vocab, cols) = (d.size(200), d.size(300), d.size(200));
    let (table, dtype) = (d.pick(&[DType::F32, DType::F16, DType::BF16]), d.float());
    row!(case(tokens, vocab, cols, table, dtype))
}
