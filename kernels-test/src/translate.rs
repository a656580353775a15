//! Every shader that the cases launch, in the languages below wgpu: Metal, DirectX 12, OpenGL, Vulkan.

use crate::lint::launches;
use omma::kernels::Launch;
use omma::wgsl::{self, Language, Needs, Translator};
use omma::{Error, Result};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// What became of the variants in one language.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Count {
    /// Translated, with and without bounds checks.
    pub translated: usize,
    /// Not translated, and that is right: by reason.
    pub lacking: BTreeMap<&'static str, usize>,
}

/// What became of all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Distinct variants by what they need.
    pub variants: BTreeMap<Needs, usize>,
    /// By language.
    pub languages: BTreeMap<Language, Count>,
    /// What did not translate: the variant and why.
    pub failed: Vec<String>,
}

/// A variant in every language: its needs, and for each language the text, what the language lacks, or the error.
type Row = (Needs, Vec<(Language, Result<Vec<u8>, String>)>);

/// Translates every distinct launch of the cases whose kernel's name contains `filter`, and writes the translations
/// below `out`: a folder for a language, a file for a variant.
///
/// Errors: a shader does not parse, or a file cannot be written.
pub fn run(filter: &str, out: Option<&Path>) -> Result<Summary> {
    let all = launches(filter);
    let rows = all.par_iter().map(translate).collect::<Result<Vec<Row>>>()?;
    let mut summary = Summary::default();
    for (i, (launch, (needs, results))) in all.iter().zip(rows).enumerate() {
        *summary.variants.entry(needs).or_default() += 1;
        for (language, result) in results {
            let count = summary.languages.entry(language).or_default();
            match (result, language.lacks(needs)) {
                (Ok(text), _) => {
                    count.translated += 1;
                    if let Some(folder) = out {
                        write(folder, &format!("{i:04}_{}", launch.files[0]), language, &text)?;
                    }
                }
                (Err(_), Some(reason)) => *count.lacking.entry(reason).or_default() += 1,
                (Err(reason), None) => summary.failed.push(format!("{}\n    in {}", reason, title(launch))),
            }
        }
    }
    Ok(summary)
}

/// A variant as messages name it.
pub fn title(launch: &Launch) -> String {
    format!("{} {:?}", launch.files.join(" + "), launch.overrides)
}

fn translate(launch: &Launch) -> Result<Row> {
    let translator = Translator::new(&wgsl::link(&launch.files)?, &launch.overrides)?;
    let to = |language: Language| {
        let translated = translator.to(language, true).and_then(|_| translator.to(language, false));
        (language, translated.map_err(|e| e.to_string()))
    };
    Ok((translator.needs(), Language::ALL.into_iter().map(to).collect()))
}

fn write(folder: &Path, name: &str, language: Language, text: &[u8]) -> Result<()> {
    let folder = folder.join(language.extension());
    let path = folder.join(format!("{name}.{}", language.extension()));
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|e| Error::io(path.to_string_lossy(), &e))
}

impl Summary {
    /// The report as lines.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.failed.clone();
        for (language, count) in &self.languages {
            let lacking: Vec<String> =
                count.lacking.iter().map(|(why, n)| format!(", {n} not there ({why})")).collect();
            lines.push(format!("{:8} {} translated{}", language.name(), count.translated, lacking.concat()));
        }
        let needs = |f16: bool, subgroup: bool| self.variants.get(&Needs { f16, subgroup }).copied().unwrap_or(0);
        lines.push(format!(
            "translate: {} failed of {} variants: {} for the floor, {} with subgroups, {} with f16, {} with both",
            self.failed.len(),
            self.variants.values().sum::<usize>(),
            needs(false, false),
            needs(false, true),
            needs(true, false),
            needs(true, true)
        ));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_translates() {
        let summary = run("", None).unwrap();
        assert!(summary.failed.is_empty(), "{}", summary.failed.join("\n"));
        assert!(summary.variants[&Needs::default()] > 300, "{summary:?}");
        for (language, count) in &summary.languages {
            let lacking: usize = count.lacking.values().sum();
            assert_eq!(count.translated + lacking, summary.variants.values().sum::<usize>(), "{}", language.name());
        }
    }
}
