//! The lints of `omma::wgsl` over every shader that the cases launch.

use crate::cases::CASES;
use omma::kernels::{Io, Launch, TensorType};
use omma::wgsl::{self, Finding, Lint};
use omma::{Caps, Result};
use std::collections::BTreeSet;

/// Findings that are right as they are: file, lint, the name that the finding begins or ends with, and why.
pub static ACCEPTED: &[(&str, Lint, &str, &str)] = &[
    ("sample.wgsl", Lint::UnguardedIndex, "into logits ", "offsets share a struct with settings; indices are counters"),
    ("sample.wgsl", Lint::UnguardedIndex, "into seen ", "offsets share a struct with settings; indices are counters"),
];

fn accepts(entry: &(&str, Lint, &str, &str), finding: &Finding) -> bool {
    let (file, lint, name, _) = entry;
    finding.lint == *lint && finding.place.starts_with(file) && finding.text.contains(name)
}

/// The devices whose variants are looked at: a GPU and a software adapter, at the floor and with all there is.
pub fn devices() -> Vec<Caps> {
    let floor = Caps::floor();
    let full = Caps { f16: true, subgroup: Some((32, 32)), ..floor.clone() };
    let software = Caps { software: true, ..floor.clone() };
    let lanes = Caps { software: true, f16: true, subgroup: Some((8, 8)), ..floor.clone() };
    vec![floor, full, software, lanes]
}

/// Every distinct launch of the cases whose kernel's name contains `filter`: files with override values.
pub fn launches(filter: &str) -> Vec<Launch> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (_, cases) in CASES.iter().filter(|(name, _)| name.contains(filter)) {
        for case in cases() {
            let inputs: Vec<TensorType> = case.inputs.iter().map(|i| i.ty.clone()).collect();
            let Ok(outputs) = case.kernel.infer(&inputs) else { continue };
            for caps in devices() {
                let io = Io { inputs: &inputs, outputs: &outputs };
                for launch in case.kernel.launch(&io, &caps).unwrap_or_default() {
                    if seen.insert((launch.files.clone(), format!("{:?}", launch.overrides))) {
                        all.push(launch);
                    }
                }
            }
        }
    }
    all
}

/// Findings of those launches that are not [`ACCEPTED`], each with the first variant that has it, and how many variants were looked at.
///
/// Errors: a shader does not parse or validate.
pub fn run(filter: &str) -> Result<(Vec<(Finding, String)>, usize)> {
    let all = launches(filter);
    let mut found: Vec<(Finding, String)> = Vec::new();
    for launch in &all {
        for finding in wgsl::lint(&wgsl::link(&launch.files)?, &launch.overrides)? {
            let known = ACCEPTED.iter().any(|entry| accepts(entry, &finding));
            if !known && !found.iter().any(|(f, _)| *f == finding) {
                found.push((finding, format!("{} {:?}", launch.files.join(" + "), launch.overrides)));
            }
        }
    }
    found.sort();
    Ok((found, all.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_accepted_that_is_not_found() {
        for entry in ACCEPTED {
            let kernel = entry.0.trim_end_matches(".wgsl");
            let lint = |l: &Launch| wgsl::lint(&wgsl::link(&l.files).unwrap(), &l.overrides).unwrap();
            let found = launches(kernel).iter().any(|l| lint(l).iter().any(|f| accepts(entry, f)));
            assert!(found, "{entry:?} is not needed any more");
        }
    }

    #[test]
    fn no_shader_has_findings() {
        let (found, variants) = super::run("").unwrap();
        assert!(variants > 300, "{variants} variants");
        let lines: Vec<String> = found.iter().map(|(f, variant)| format!("{f}\n    in {variant}")).collect();
        assert!(found.is_empty(), "{}", lines.join("\n"));
    }
}
