//! What draws the cases of each kernel, in the order of the registry; or why nothing does.

use super::*;
use crate::draw::Strategy;

/// How the cases of a kernel are drawn.
pub enum Drawing {
    /// By this function.
    By(Strategy),
    /// Not at all, for this reason.
    No(&'static str),
}
use Drawing::{By, No};

/// Every registered kernel.
pub static DRAWINGS: &[(&str, Drawing)] = &[
    ("advance", By(advance::draw)),
    ("argmax", By(argmax::draw)),
    ("attention", By(attention::draw)),
    ("attention_decode", By(attention_decode::draw)),
    ("attention_merge", No("what it reads is made by attention_decode, whose draws run both")),
    ("attention_scores", By(attention_scores::draw)),
    ("batch_matmul", By(batch_matmul::draw)),
    ("batch_norm", By(batch_norm::draw)),
    ("binary", By(binary::draw)),
    ("cache_places", By(cache_places::draw)),
    ("cast", By(cast::draw)),
    ("compare", No("its cases hold every value with every other; the launch has no other space")),
    ("concat", By(concat::draw)),
    ("conv", By(conv::draw)),
    ("conv_grouped", By(conv_grouped::draw)),
    ("conv_int", By(integer_products::draw_conv_int)),
    ("convert", No("its cases hold every number that can go wrong; the launch has no other space")),
    ("copy", No("it measures a ceiling")),
    ("dequantize", By(quantize::draw_dequantize)),
    ("embed_tokens", By(embed_tokens::draw)),
    ("expert_combine", By(experts::draw_expert_combine)),
    ("expert_matmul", By(experts::draw_expert_matmul)),
    ("expert_sort", By(experts::draw_expert_sort)),
    ("fma_chain", No("it measures a ceiling")),
    ("gather", By(gather::draw)),
    ("glu", By(glu::draw)),
    ("grid_sample", By(grid_sample::draw)),
    ("group_norm", By(group_norm::draw)),
    ("integer", By(integer::draw)),
    ("interpolate_rows", By(interpolate_rows::draw)),
    ("kv_append", By(kv_append::draw)),
    ("kv_encode", By(kv_encode::draw)),
    ("l2_norm", By(l2_norm::draw)),
    ("layer_norm", By(layer_norm::draw)),
    ("layer_scale", By(layer_scale::draw)),
    ("linear_attention", By(linear_attention::draw)),
    ("matmul", By(matmul::draw)),
    ("matmul_int", By(integer_products::draw_matmul_int)),
    ("matvec", By(matvec::draw)),
    ("normalize", No("a pixel is all of its space, and its cases hold millions")),
    ("pack_bytes", By(integer_products::draw_pack_bytes)),
    ("pad", By(pad::draw)),
    ("patch_embed", By(patch_embed::draw)),
    ("pool", By(pool::draw)),
    ("quantize", By(quantize::draw_quantize)),
    ("quantize_blocks", By(quantize_blocks::draw)),
    ("quantize_range", By(integer_products::draw_quantize_range)),
    ("read_weight", By(read_weight::draw)),
    ("rearrange", By(rearrange::draw)),
    ("reduce", By(reduce::draw)),
    ("resample", By(resample::draw)),
    ("resize", By(resize::draw)),
    ("rms_norm", By(rms_norm::draw)),
    ("roi_align", By(roi_align::draw)),
    ("rope", By(rope::draw)),
    ("route", By(experts::draw_route)),
    ("row_index", By(row_index::draw)),
    ("sample", By(sample::draw)),
    ("scan", By(scan::draw)),
    ("scatter", By(scatter::draw)),
    ("select", By(select::draw)),
    ("softmax", By(softmax::draw)),
    ("splice_rows", By(splice_rows::draw)),
    ("swiglu", By(experts::draw_swiglu)),
    ("top_k", By(top_k::draw)),
    ("unary", By(unary::draw)),
];

/// The kernels that draw cases.
pub fn draws() -> impl Iterator<Item = (&'static str, Strategy)> {
    DRAWINGS.iter().filter_map(|(name, drawing)| match drawing {
        By(strategy) => Some((*name, *strategy)),
        No(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use omma::kernels::TensorType;

    #[test]
    fn every_kernel_draws_cases_or_says_why_not() {
        let names: Vec<&str> = DRAWINGS.iter().map(|(name, _)| *name).collect();
        let registered: Vec<&str> = CASES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, registered);
        for (name, drawing) in DRAWINGS {
            if let No(reason) = drawing {
                assert!(reason.len() > 10, "{name}: {reason}");
            }
        }
    }

    #[test]
    fn draws_are_cases_of_their_kernel_that_it_accepts_and_that_their_numbers_make_again() {
        for (name, strategy) in draws() {
            for seed in 0..300 {
                let (drawn, numbers) = Draw::random(seed).case(strategy);
                let case = drawn.case;
                assert_eq!(case.kernel.name(), name);
                let inputs: Vec<TensorType> = case.inputs.iter().map(|i| i.ty.clone()).collect();
                let inferred = case.kernel.infer(&inputs);
                assert!(inferred.is_ok(), "{name}:{numbers:?} {}: {inferred:?}", drawn.row);
                let (again, same) = Draw::listed(numbers.clone()).case(strategy);
                assert_eq!((again.row, same), (drawn.row, numbers));
                assert_eq!((again.case.name, again.case.inputs), (case.name, case.inputs));
            }
            let simplest = Draw::listed(Vec::new()).case(strategy).0;
            let inputs: Vec<TensorType> = simplest.case.inputs.iter().map(|i| i.ty.clone()).collect();
            assert!(simplest.case.kernel.infer(&inputs).is_ok(), "{name}: {}", simplest.row);
        }
    }
}
