//! The commands that run other programs: demo, test, check and the small ones.

use crate::driver::{self, Adapter};
use crate::steps::{Steps, cargo, run};
use crate::{cases, checks, deps, goldens, parts, repo, size, stack, wasm};
use std::process::Command;

pub fn with(mut command: Command, adapter: &Adapter) -> Command {
    adapter.select(&mut command);
    command
}

pub fn announce(adapter: &Adapter) {
    eprintln!("Adapter {}: {}", adapter.name, adapter.devices.join(", "));
}

/// `test`: what CI runs, on two software adapters.
pub fn test() -> Result<bool, String> {
    let mut steps = Steps::default();
    text_checks(&mut steps);
    steps.command("clippy", clippy());
    let lavapipe = match driver::lavapipe(false) {
        Ok(adapter) => adapter,
        Err(reason) => {
            steps.step("software adapter (lavapipe)", || Err(reason));
            return Ok(steps.finish());
        }
    };
    announce(&lavapipe);
    let tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
    steps.command("unit and integration tests (lavapipe)", with(tests, &lavapipe));
    steps.step("docs/KERNELS.md is in step with the registry", || kernels(true));
    on_adapter(&mut steps, &lavapipe);
    conformance(&mut steps, &lavapipe);
    let drawn = cargo(&["run", "--quiet", "--package", "kernels-test", "--", "draw", "--cases", "20"]);
    steps.command("drawn cases of kernels (lavapipe)", with(drawn, &lavapipe));
    let floor = cargo(&["run", "--quiet", "--package", "kernels-test", "--", "test", "--floor"]);
    steps.command("kernels against their oracles (lavapipe at wgpu's default limits)", with(floor, &lavapipe));
    match driver::swiftshader() {
        Ok(adapter) => {
            announce(&adapter);
            on_adapter(&mut steps, &adapter);
            conformance(&mut steps, &adapter);
        }
        // Where its package exists, its absence is a failure; elsewhere the run says what it did not do.
        Err(reason) if driver::apt::os_release("ID").as_deref() == Some("debian") => {
            steps.step("SwiftShader", || Err(reason));
        }
        Err(reason) => steps.skip("kernels, golden cases and cases of original models (swiftshader)", &reason),
    }
    match stack::dawn::install() {
        Ok(_) => {
            steps.step("every shader compiles under Tint", || stack::dawn::compile(&stack::dawn::Options::default()));
        }
        // Its absence is no fault of a change, so it fails no run; the run says what it did not do.
        Err(reason) => steps.skip("every shader compiles under Tint", &reason),
    }
    steps.step("the library builds for wasm32-unknown-unknown", || wasm::check(&[]));
    Ok(steps.finish())
}

fn on_adapter(steps: &mut Steps, adapter: &Adapter) {
    let kernels = cargo(&["run", "--quiet", "--package", "kernels-test", "--", "test"]);
    steps.command(&format!("kernels against their oracles ({})", adapter.name), with(kernels, adapter));
    let name = format!("golden cases ({})", adapter.name);
    match goldens::folder() {
        Some(folder) => {
            steps.step(&name, || goldens::run(adapter, &folder, ""));
        }
        None => steps.skip(&name, "no ../shared beside the repository, and OMMA_SHARED is not set"),
    }
    let name = format!("cases of original models ({})", adapter.name);
    match cases::folder() {
        Some(folder) => {
            steps.step(&name, || cases::run(adapter, &folder, ""));
        }
        None => steps.skip(&name, "no cases_original in ../shared beside the repository"),
    }
}

/// The operator packs that other programs made, where they are.
fn conformance(steps: &mut Steps, adapter: &Adapter) {
    let name = format!("conformance packs ({})", adapter.name);
    match goldens::folder().map(|folder| folder.join("ops")).filter(|packs| packs.is_dir()) {
        Some(packs) => {
            let mut run = cargo(&["run", "--quiet", "--package", "kernels-test", "--", "conformance"]);
            run.arg(packs);
            steps.command(&name, with(run, adapter));
        }
        None => steps.skip(&name, "no ops in ../shared beside the repository"),
    }
}

/// `check`: what to run before a commit; needs no adapter.
pub fn check() -> Result<bool, String> {
    let mut steps = Steps::default();
    text_checks(&mut steps);
    steps.command("clippy", clippy());
    steps.step("docs/KERNELS.md is in step with the registry", || kernels(true));
    Ok(steps.finish())
}

fn text_checks(steps: &mut Steps) {
    steps.command("formatting", cargo(&["fmt", "--all", "--check"]));
    steps.step("layers (deps)", || checks::print(deps::check()?));
    steps.step("budgets (size)", || checks::print(size::check()?));
    steps.step("text of the repository (repo)", || checks::print(repo::check()?));
}

fn clippy() -> Command {
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

/// `kernels [--check]`: docs/KERNELS.md from the registry, and the table of parts (which `repo` checks).
pub fn kernels(check: bool) -> Result<bool, String> {
    if !check {
        parts::write()?;
    }
    let mut command = cargo(&["run", "--quiet", "--package", "kernels-test", "--", "docs"]);
    run(if check { command.arg("--check") } else { &mut command })
}

/// `wgsl <kernel> [variant]`: a kernel as it is linked.
pub fn wgsl(args: &[String]) -> Result<bool, String> {
    run(cargo(&["run", "--quiet", "--package", "kernels-test", "--", "wgsl"]).args(args))
}

/// `bless`: tests of text goldens rewrite their files when `OMMA_BLESS` is set; the diff is for a person to read.
pub fn bless() -> Result<bool, String> {
    let adapter = driver::any()?;
    announce(&adapter);
    let good = run(with(cargo(&["test", "--workspace", "--quiet"]), &adapter).env("OMMA_BLESS", "1"))?;
    Ok(good && kernels(false)?)
}

/// `bench [args]`: cargo bench with a driver.
pub fn bench(args: &[String]) -> Result<bool, String> {
    let adapter = driver::any()?;
    announce(&adapter);
    run(with(cargo(&["bench"]), &adapter).args(args))
}

/// `hub`: the feature that downloads, which the other commands leave out because its dependencies take minutes to build.
pub fn hub() -> Result<bool, String> {
    let adapter = driver::any()?;
    announce(&adapter);
    let mut steps = Steps::default();
    let features = ["--package", "omma", "--features", "hub"];
    let lints = ["clippy", "--all-targets"].iter().chain(&features).chain(&["--", "-D", "warnings"]);
    steps.command("clippy with feature hub", cargo(&lints.copied().collect::<Vec<_>>()));
    let tests = ["test"].iter().chain(&features).chain(&["--test", "hub"]);
    steps.command("checkpoints by hub id", with(cargo(&tests.copied().collect::<Vec<_>>()), &adapter));
    Ok(steps.finish())
}

/// `driver [--swiftshader] [--private]`: fetches a driver and prints the variables that select it.
pub fn driver(swiftshader: bool, private: bool) -> Result<bool, String> {
    let adapter = match (swiftshader, private) {
        (true, _) => driver::swiftshader()?,
        (false, true) => driver::lavapipe(true)?,
        (false, false) => driver::any()?,
    };
    announce(&adapter);
    if !adapter.env.is_empty() {
        eprintln!("To use it in your own shell:");
        adapter.env.iter().for_each(|(k, v)| println!("export {k}={v}"));
    }
    Ok(true)
}
