//! Which matrices stay floats in a plan with packed weights, and why: a line for all that are alike.

use omma::generate::unpacked_matrices;
use omma::models::Spec;
use omma::quant::Encoding;
use omma::{DType, Result};
use std::collections::BTreeMap;

/// Lines such as `24 x vision.layers.*.fc1.weight [4304, 1152]: rows of 1152 values are no whole blocks of 256`.
///
/// # Errors
/// Those of [`unpacked_matrices`].
pub fn lines(spec: &Spec, to: Encoding) -> Result<Vec<String>> {
    let mut alike: BTreeMap<(String, Vec<usize>), usize> = BTreeMap::new();
    for (name, ty) in unpacked_matrices(spec)? {
        *alike.entry((pattern(&name), ty.shape.clone())).or_default() += 1;
    }
    let line = |((name, shape), count): (&(String, Vec<usize>), &usize)| {
        let (n, k) = (shape.first().copied().unwrap_or(0), shape.iter().skip(1).product());
        format!("{count} x {name} {shape:?}: {}", reason(to, n, k))
    };
    Ok(alike.iter().map(line).collect())
}

fn reason(to: Encoding, n: usize, k: usize) -> String {
    let values = match to {
        Encoding::Block(block) => block.values(),
        Encoding::Nf4 | Encoding::Fp4 => 64,
        _ => 1,
    };
    match to.format(DType::F32).packing(n, k) {
        Some(_) => "the filter of a convolution".into(),
        None => format!("rows of {k} values are no whole blocks of {values}"),
    }
}

/// A name with a star for every number, so that layers are alike.
fn pattern(name: &str) -> String {
    let part = |part: &str| {
        let number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if number { "*".to_owned() } else { part.to_owned() }
    };
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use omma::quant::Block;

    #[test]
    fn layers_are_alike_and_reasons_differ() {
        assert_eq!(pattern("model.layers.11.mlp.fc1.weight"), "model.layers.*.mlp.fc1.weight");
        let to = Encoding::Block(Block::Q4K);
        assert_eq!(reason(to, 8, 300), "rows of 300 values are no whole blocks of 256");
        assert_eq!(reason(to, 8, 512), "the filter of a convolution");
    }
}
