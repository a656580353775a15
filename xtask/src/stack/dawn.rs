//! `stack dawn`: Tint compiles every linked shader and Dawn runs it. The package `webgpu` of npm has Dawn for Node;
//! `kernels-test` writes shaders and operands as files, starts Node and compares the outputs as they come.

use super::{create, has, home, kernels_test};
use crate::driver::{self, Adapter, apt};
use crate::steps::{output, root, run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Dawn for Node: a version that was tried.
const PACKAGE: &str = "webgpu@0.6.2";

/// How a run is bounded and begun.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only kernels whose name contains this.
    pub filter: String,
    /// `swiftshader` or `lavapipe`; otherwise the first, and the second for what it is not given.
    pub adapter: Option<String>,
    /// Leaves out what passed in an earlier run.
    pub resume: bool,
    /// Seconds for one shader or case, if not what the harness has.
    pub limit: Option<String>,
}

/// Compiles every variant of the kernels by Tint, and runs those that drivers are given. SwiftShader compiles in a fifth
/// of lavapipe's time and has no f16, so lavapipe gets what SwiftShader is not given.
pub fn check(options: &Options) -> Result<bool, String> {
    let module = install()?;
    let mut good = compile(options)?;
    let mut beyond = None;
    if options.adapter.as_deref() != Some("lavapipe") {
        let adapter = driver::swiftshader()?;
        let described = describe(&module, &adapter)?;
        good &= drive(&module, &adapter, "run", options, &extras(&described, &adapter))?;
        beyond = Some(sizes(&described));
    }
    if options.adapter.as_deref() != Some("swiftshader") {
        let (mut adapter, described) = lavapipe(&module)?;
        let mut more = extras(&described, &adapter);
        if let Some(sizes) = beyond {
            adapter.name += "-beyond";
            more.push("--beyond".into());
            more.extend(sizes.unwrap_or(["0".into(), "0".into()]));
        }
        good &= drive(&module, &adapter, "run", options, &more)?;
    }
    Ok(good)
}

/// The smallest and the largest subgroup.
fn sizes(described: &serde_json::Value) -> Option<[String; 2]> {
    let [min, max] = described["subgroup"].as_array()?.as_slice() else { return None };
    Some([min.to_string(), max.to_string()])
}

/// What the adapter has beyond the floor, as arguments of `kernels-test export`.
fn extras(described: &serde_json::Value, adapter: &Adapter) -> Vec<String> {
    println!("Dawn on {} ({})", described["name"].as_str().unwrap_or("?"), adapter.name);
    let f16 = (described["f16"] == true).then_some("--f16".to_owned());
    let subgroup = sizes(described).map(|[min, max]| ["--subgroup".into(), min, max]);
    f16.into_iter().chain(subgroup.into_iter().flatten()).collect()
}

/// Tint alone compiles every variant: Dawn's null backend makes the pipelines, no driver is asked.
pub fn compile(options: &Options) -> Result<bool, String> {
    let module = install()?;
    let none = Adapter { name: "shaders-only".into(), devices: Vec::new(), env: Vec::new() };
    drive(&module, &none, "compile", options, &["--shaders".to_owned()])
}

/// Writes shaders and cases into a folder of the adapter, and has Dawn work on it.
fn drive(module: &Path, adapter: &Adapter, mode: &str, options: &Options, export: &[String]) -> Result<bool, String> {
    let folder = home().join("dawn").join(&adapter.name);
    if !options.resume {
        apt::remove(&folder)?;
    }
    create(&folder)?;
    let harness = kernels_test()?;
    let mut exporting = Command::new(&harness);
    exporting.arg("export").arg(&folder).args(["--filter", &options.filter]).args(export);
    let mut driving = Command::new(&harness);
    driving.arg("drive").arg(&folder);
    if let Some(limit) = &options.limit {
        driving.args(["--limit", limit]);
    }
    if options.resume {
        driving.arg("--resume");
    }
    let node = node(module, adapter);
    driving.arg("--").arg(node.get_program()).args(node.get_args()).arg(mode).arg(&folder);
    adapter.select(&mut driving);
    Ok(run(&mut exporting)? && run(&mut driving)?)
}

/// Why this machine cannot run Dawn, if it cannot.
fn missing() -> Option<&'static str> {
    (!has("node") || !has("npm")).then_some("Dawn runs in Node.js: install node (20 or newer) and npm first")
}

/// The folder of the npm package, installed under `target`.
pub fn install() -> Result<PathBuf, String> {
    if let Some(reason) = missing() {
        return Err(reason.into());
    }
    let folder = home().join("dawn");
    let module = folder.join("node_modules/webgpu");
    let version = || -> Option<String> {
        let text = std::fs::read_to_string(module.join("package.json")).ok()?;
        let package: serde_json::Value = serde_json::from_str(&text).ok()?;
        Some(format!("webgpu@{}", package["version"].as_str()?))
    };
    if version().as_deref() != Some(PACKAGE) {
        create(&folder)?;
        eprintln!("Installing {PACKAGE} under target/stack (130 MB).");
        // No scripts: the package carries its binaries.
        let arguments =
            ["install", "--silent", "--fetch-retries=1", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts"];
        output(Command::new("npm").args(arguments).arg("--prefix").arg(&folder).arg(PACKAGE))?;
    }
    match version() {
        Some(found) if found == PACKAGE => Ok(module),
        found => Err(format!("{PACKAGE} was asked for, {} is there", found.unwrap_or("nothing".into()))),
    }
}

fn node(module: &Path, adapter: &Adapter) -> Command {
    let mut command = Command::new("node");
    command.arg(root().join("kernels-test/dawn/run.mjs")).arg(module);
    adapter.select(&mut command);
    command
}

fn describe(module: &Path, adapter: &Adapter) -> Result<serde_json::Value, String> {
    let text = output(node(module, adapter).arg("describe"))?;
    serde_json::from_str(&text).map_err(|e| format!("what run.mjs says of the adapter: {e}"))
}

/// A lavapipe that Dawn accepts: the machine's, or the newer one of its backports.
fn lavapipe(module: &Path) -> Result<(Adapter, serde_json::Value), String> {
    let here = driver::lavapipe(false)?;
    if let Ok(described) = describe(module, &here) {
        return Ok((here, described));
    }
    let mut newer = driver::lavapipe_of_backports().map_err(|e| format!("Dawn refuses the lavapipe here, and {e}"))?;
    // LLVM's optimisations are twice the time of a run whose cases are small; what Tint wrote stays the same.
    newer.env.push(("GALLIVM_PERF".into(), "nopt".into()));
    let described = describe(module, &newer)?;
    Ok((newer, described))
}
