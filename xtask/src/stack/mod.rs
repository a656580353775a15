//! `stack`: the shaders on compilers, drivers and checkers that `test` has no time for. One command each; each gets
//! what it needs under `target`, runs everything it names, and fails on what it cannot explain.

pub mod dawn;
mod mesa26;
mod translate;
mod validate;

use crate::steps::{cargo, output, root, run};
use clap::ArgMatches;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs one of them.
pub fn command(args: &ArgMatches) -> Result<bool, String> {
    let filter = |args: &ArgMatches| args.get_one::<String>("filter").cloned().unwrap_or_default();
    match args.subcommand() {
        Some(("translate", args)) => translate::check(&filter(args)),
        Some(("dawn", args)) => {
            let options = dawn::Options {
                filter: filter(args),
                adapter: args.get_one("adapter").cloned(),
                resume: args.get_flag("resume"),
                limit: args.get_one("limit").cloned(),
            };
            if args.get_flag("compile") { dawn::compile(&options) } else { dawn::check(&options) }
        }
        Some(("mesa26", args)) => mesa26::check(&filter(args), args.get_flag("validation")),
        Some(("validate", args)) => validate::check(&filter(args)),
        _ => Err("which stack? translate, dawn, mesa26 or validate".into()),
    }
}

fn home() -> PathBuf {
    root().join("target/stack")
}

fn create(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// The harness as a binary: built, and found beside the one that runs now.
fn kernels_test() -> Result<PathBuf, String> {
    if !run(&mut cargo(&["build", "--quiet", "--package", "kernels-test"]))? {
        return Err("kernels-test does not build".into());
    }
    let here = std::env::current_exe().map_err(|e| e.to_string())?;
    let built = here.with_file_name("kernels-test");
    if built.is_file() { Ok(built) } else { Err(format!("there is no {}", built.display())) }
}

/// Whether a program can be started.
fn has(program: &str) -> bool {
    output(Command::new(program).arg("--version")).is_ok()
}
