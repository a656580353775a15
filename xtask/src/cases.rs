//! Cases of original models, whole or single modules: dump each with `kernels-test cases`, compare every stage that its
//! `case.json` lists. `cases.txt` names those that have to pass; they lie in `cases_original` beside the golden cases.
//! Reading and comparing are those of [`crate::goldens`].

use crate::driver::Adapter;
use crate::goldens::{self, Worst, case_json, compare, numbered, read};
use crate::steps::{self, root};
use clap::ArgMatches;
use serde_json::Value;
use std::path::{Path, PathBuf};

const LIST: &str = "xtask/cases.txt";

/// `cases [filter] [--adapter A]`.
pub fn command(args: &ArgMatches) -> Result<bool, String> {
    let filter = args.get_one::<String>("filter").map_or("", String::as_str);
    let folder =
        folder().ok_or("no cases: put cases_original in ../shared beside the repository, or set OMMA_SHARED")?;
    let mut good = true;
    for adapter in &goldens::adapters(args)? {
        good &= run(adapter, &folder, filter)?;
    }
    Ok(good)
}

/// The folder with the cases, if it is there.
pub fn folder() -> Option<PathBuf> {
    goldens::folder().map(|shared| shared.join("cases_original")).filter(|cases| cases.is_dir())
}

/// Runs the listed cases whose name contains `filter` on one adapter; prints a line for each and the worst stage.
pub fn run(adapter: &Adapter, folder: &Path, filter: &str) -> Result<bool, String> {
    let cases = goldens::names(LIST, filter)?;
    if cases.is_empty() {
        return Err(format!("{LIST} lists no case of that name"));
    }
    if !steps::run(&mut steps::cargo(&["build", "--quiet", "--package", "kernels-test", "--bin", "kernels-test"]))? {
        return Err("kernels-test does not build".into());
    }
    let out = root().join("target/cases").join(&adapter.name);
    let mut failed = 0;
    for name in &cases {
        match one(adapter, &folder.join(name), &out) {
            Ok(worst) => println!("passed  {}: {name}  {worst}", adapter.name),
            Err(reason) => {
                failed += 1;
                println!("FAILED  {}: {name}  {reason}", adapter.name);
            }
        }
    }
    println!("{}: {} cases, {failed} failed", adapter.name, cases.len());
    Ok(failed == 0)
}

/// Dumps and compares one case; the worst stage, or what is wrong.
fn one(adapter: &Adapter, case: &Path, out: &Path) -> Result<String, String> {
    let json = case_json(case)?;
    let dump = out.join(case.file_name().unwrap_or_default()).with_extension("safetensors");
    // What an earlier run left must not pass for this one's.
    let _ = std::fs::remove_file(&dump);
    let mut command = steps::cargo(&["run", "--quiet", "--package", "kernels-test", "--", "cases"]);
    command.arg(case).arg("--dump").arg(out);
    adapter.select(&mut command);
    steps::output(&mut command)?;
    let mut worst = Worst::default();
    for (i, sample) in json["samples"].as_array().into_iter().flatten().enumerate() {
        let path = if i == 0 { dump.clone() } else { dump.with_file_name(numbered(&dump, i)) };
        stages(case, sample, &path, &mut worst)?;
    }
    Ok(worst.show())
}

fn stages(case: &Path, sample: &Value, dump: &Path, worst: &mut Worst) -> Result<(), String> {
    let got = read(dump)?;
    let want = read(&case.join(sample["expected"].as_str().unwrap_or("expected.safetensors")))?;
    for (name, stage) in sample["stages"].as_object().into_iter().flatten() {
        let tensor = stage["tensor"].as_str().unwrap_or(name);
        let want = want.get(tensor).ok_or_else(|| format!("{name}: {tensor} is not expected"))?;
        let have = got.get(name).ok_or_else(|| format!("stage {name} was not dumped"))?;
        let atol = stage["suggested_atol"].as_f64().unwrap_or(0.0);
        worst.take(name, compare(have, want, atol, None).map_err(|e| format!("{name}: {e}"))?);
    }
    Ok(())
}
