//! The layers of `src/`: arrows between modules only point down, and two crates are named in one place each.
//!
//! The tables at the top are the rules; `docs/ARCHITECTURE.md` explains them. Items under `#[cfg(test)]` may point
//! up (a test of the linker may walk the registry), but even they may not name `wgpu` or `naga` outside their homes.

use crate::checks::Finding;
use crate::rust::{self, Path};
use crate::steps::root;
use std::collections::BTreeMap;

/// Module of the root and its layer. A module may name modules of lower layers only.
const LAYERS: &[(&str, u8)] = &[
    ("error", 0),
    ("dtype", 0),
    ("quant", 0),
    ("caps", 0),
    ("image", 1),
    ("text", 1),
    ("checkpoint", 1),
    ("wgsl", 1),
    ("gpu", 1),
    ("reference", 2),
    ("kernels", 2),
    ("graph", 3),
    ("measure", 4),
    ("blocks", 4),
    ("models", 5),
    ("generate", 6),
];

/// Arrows inside one layer that are meant. The plain types of layer 0 may name each other anyway.
const SIDEWAYS: &[(&str, &str)] = &[
    ("kernels", "reference"), // a descriptor points at its oracle
    ("gpu", "wgsl"),          // a pipeline is made of a linked shader and its reflection
];

/// Single plain types that a module may name although their home is not below it.
const PLAIN: &[(&str, &str)] = &[
    ("gpu", "kernels::Launch"), // a dispatch, fully decided: what a pipeline and a submit are made from
];

/// Types of `kernels` that an oracle may not name. It is asked with the attributes of its kernel and may read them;
/// launches and the functions beside them are what it checks.
const NOT_FOR_ORACLES: &[&str] = &["Kernel", "Launch", "Io", "Cost", "Entry", "KERNELS"];

/// Arrows that point down and are forbidden all the same: (file prefix below src, path prefix, why).
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("kernels", "gpu", "descriptors are pure functions of types and Caps"),
    ("reference", "gpu", "an oracle shares nothing with what it checks"),
    ("reference", "wgsl", "an oracle shares nothing with what it checks"),
    ("graph/ir", "gpu", "a graph is data"),
    ("graph/build", "gpu", "a graph is data"),
    ("graph/fuse", "gpu", "rewriting sees no device"),
    ("graph/plan", "gpu", "planning sees Caps, never a device"),
    ("graph/cost", "gpu", "costs are known without a device"),
    ("blocks", "gpu", "blocks build graphs; they run nothing"),
    ("generate", "models::families", "generation knows no family"),
];

/// Crates that only some files may name: (crate, homes as prefixes below src, where it belongs).
const HOMES: &[(&str, &[&str], &str)] =
    &[("wgpu", &["gpu/", "gpu.rs", "lib.rs", "bin/"], "src/gpu"), ("naga", &["wgsl/", "wgsl.rs"], "src/wgsl")];

/// Checks every file under `src/`.
pub fn check() -> Result<Vec<Finding>, String> {
    let src = root().join("src");
    let files = crate::repo::files_under(&src, "rs")?;
    let facade = std::fs::read_to_string(src.join("lib.rs")).map_err(|e| format!("src/lib.rs: {e}"))?;
    let facade = facade_names(&facade);
    let mut findings = Vec::new();
    let test_modules = rust::test_modules(&files);
    for (name, text) in files {
        findings.extend(check_file(&name, &text, &facade, rust::is_test_file(&name, &test_modules)));
    }
    Ok(findings)
}

/// What the root re-exports: name -> the module it comes from.
fn facade_names(lib: &str) -> BTreeMap<String, String> {
    let named = |p: Path| {
        let name = p.alias.or_else(|| p.segments.last().cloned())?;
        Some((name, p.segments.first()?.clone()))
    };
    rust::re_exports(&rust::code_only(lib)).into_iter().filter_map(named).collect()
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// Checks one file; `name` is its path below `src`, with slashes; `tests`: it holds nothing but tests.
fn check_file(name: &str, text: &str, facade: &BTreeMap<String, String>, tests: bool) -> Vec<Finding> {
    let code = rust::code_only(text);
    let mut findings = foreign_crates(name, &code);
    let own = name.split('/').next().unwrap_or(name).trim_end_matches(".rs");
    if matches!(own, "lib" | "bin") || tests {
        return findings;
    }
    let place = format!("src/{name}");
    let Some(own_layer) = layer(own) else {
        findings.push(Finding::at(
            "arrow",
            &place,
            0,
            format!("module {own} has no layer: give it one in xtask/src/deps.rs"),
        ));
        return findings;
    };
    let depth = name.trim_end_matches("/mod.rs").matches('/').count() + 1;
    for path in rust::crate_paths(&rust::without_tests(&code), depth) {
        let line = rust::line_of(&code, path.at);
        let reason = arrow(own, own_layer, &path.segments, facade).or_else(|| forbidden(name, &path.segments));
        findings.extend(reason.map(|r| Finding::at("arrow", &place, line, r)));
    }
    findings
}

/// What is wrong with `own` naming `path`, by the layers.
fn arrow(own: &str, own_layer: u8, path: &[String], facade: &BTreeMap<String, String>) -> Option<String> {
    let first = path.first()?;
    let target = facade.get(first).map_or(first.as_str(), String::as_str);
    if target == own {
        return None;
    }
    if first == "*" {
        return Some("crate::* names every layer".into());
    }
    let target_layer = layer(target)?;
    let fine = target_layer < own_layer
        || (target_layer == 0 && own_layer == 0)
        || SIDEWAYS.contains(&(own, target))
        || PLAIN.contains(&(own, &path.join("::")))
        || attributes(own, path);
    (!fine).then(|| format!("{own} (layer {own_layer}) names {target} (layer {target_layer}); arrows point down"))
}

/// Whether an oracle names attributes of its kernel: a type or a constant, by its capital.
fn attributes(own: &str, path: &[String]) -> bool {
    let [module, name] = path else { return false };
    let capital = name.starts_with(|c: char| c.is_ascii_uppercase());
    own == "reference" && module == "kernels" && capital && !NOT_FOR_ORACLES.contains(&name.as_str())
}

fn forbidden(file: &str, path: &[String]) -> Option<String> {
    let path = path.join("::");
    let under = |prefix: &str| path == prefix || path.strip_prefix(prefix).is_some_and(|r| r.starts_with("::"));
    let of = |prefix: &str| file.strip_prefix(prefix).is_some_and(|r| r.starts_with(['/', '.', '_']));
    let rule = FORBIDDEN.iter().find(|(from, to, _)| of(from) && under(to));
    rule.map(|(from, to, why)| format!("{from} must not name {to}: {why}"))
}

fn foreign_crates(name: &str, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (krate, homes, home) in HOMES {
        if homes.iter().any(|h| name.starts_with(h)) {
            continue;
        }
        for token in rust::tokens(code).iter().filter(|t| t.text == *krate) {
            let line = rust::line_of(code, token.at);
            findings.push(Finding::at("arrow", &format!("src/{name}"), line, format!("only {home} names {krate}")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> usize {
        let facade = facade_names("pub use caps::Caps; pub use generate::Session; pub use gpu::Device as Gpu;");
        check_file(file, text, &facade, false).len()
    }

    #[test]
    fn arrows_down_are_fine() {
        assert_eq!(found("kernels/rms_norm.rs", "use crate::reference::Cell; use crate::{Caps, dtype::DType};"), 0);
        assert_eq!(found("generate/mod.rs", "use crate::models::Spec; use crate::gpu::Device;"), 0);
        assert_eq!(found("gpu/pipeline.rs", "use super::Device; use crate::wgsl::link; fn f(d: &wgpu::Device) {}"), 0);
        assert_eq!(found("dtype.rs", "use crate::error::Error;"), 0);
        assert_eq!(found("gpu/submit.rs", "use crate::kernels::Launch;"), 0);
        assert_eq!(found("kernels/mod.rs", "//! names crate::graph\nconst A: &str = \"crate::graph::x wgpu\";"), 0);
    }

    #[test]
    fn arrows_up_are_found() {
        assert_eq!(found("image/tiling.rs", "use crate::models::Spec;"), 1);
        assert_eq!(found("text/mod.rs", "fn f() { crate::generate::run() }"), 1);
        assert_eq!(found("kernels/x.rs", "use crate::{Caps, graph::{Graph, plan}};"), 2);
        assert_eq!(found("graph/ir.rs", "use super::super::blocks::linear;"), 1);
        assert_eq!(found("error.rs", "use crate::gpu::Device;"), 1);
    }

    #[test]
    fn arrows_sideways_are_found() {
        assert_eq!(found("checkpoint/upload.rs", "use crate::gpu::Device;"), 1);
        assert_eq!(found("reference/norm.rs", "use crate::kernels::{rope_table, Kernel, Launch};"), 3);
        assert_eq!(found("reference/norm.rs", "use crate::kernels::RmsNorm;"), 0);
        assert_eq!(found("wgsl/link.rs", "use crate::gpu::Device;"), 1);
        assert_eq!(found("gpu/submit.rs", "use crate::kernels::{Launch, RmsNorm};"), 1);
    }

    #[test]
    fn the_facade_is_seen_through() {
        assert_eq!(found("blocks/mlp.rs", "use crate::Session;"), 1);
        assert_eq!(found("text/mod.rs", "use crate::Gpu;"), 1);
        assert_eq!(found("text/mod.rs", "use crate::*;"), 1);
    }

    #[test]
    fn forbidden_arrows_are_found() {
        assert_eq!(found("blocks/attention.rs", "use crate::gpu::Device;"), 1);
        assert_eq!(found("kernels/matmul.rs", "use crate::gpu::Device;"), 1);
        assert_eq!(found("graph/plan.rs", "use crate::gpu;"), 1);
        assert_eq!(found("graph/run.rs", "use crate::gpu;"), 0);
        assert_eq!(found("generate/mod.rs", "use crate::models::families::llava;"), 1);
    }

    #[test]
    fn foreign_crates_stay_at_home() {
        assert_eq!(found("graph/run.rs", "use wgpu::Buffer;"), 1);
        assert_eq!(found("generate/mod.rs", "fn f(t: &crate::gpu::wgpu::Texture) {}"), 1);
        assert_eq!(found("gpu/device.rs", "fn f(m: wgpu::naga::Module) {}"), 1);
        assert_eq!(found("graph/run.rs", "#[cfg(test)] mod tests { use wgpu::Buffer; }"), 1);
        assert_eq!(found("wgsl/reflect.rs", "use naga::Module;"), 0);
        assert_eq!(found("lib.rs", "pub use wgpu;"), 0);
    }

    #[test]
    fn tests_may_point_up() {
        assert_eq!(found("wgsl/mod.rs", "#[cfg(test)]\nmod tests { use crate::kernels::KERNELS; }"), 0);
        assert_eq!(found("wgsl/mod.rs", "mod helpers { use crate::kernels::KERNELS; }"), 1);
    }

    #[test]
    fn a_module_without_a_layer_is_found() {
        assert_eq!(found("helpers.rs", ""), 1);
    }
}
