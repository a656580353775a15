//! `kernels-test draw`: the search over kernels, its lines, and one case again.

use super::search::written;
use super::{Draw, Drawn, Failure, Found, search};
use crate::cases::draws::draws;
use crate::report::Row;
use crate::run::{Outcome, check};
use omma::gpu::Device;
use omma::{Error, Result};

/// What to draw.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only kernels whose name contains this.
    pub filter: String,
    /// Cases a kernel.
    pub cases: u32,
    /// Other seeds draw other cases.
    pub seed: u64,
    /// One case instead, as `kernel:1.0.7`.
    pub replay: Option<String>,
    /// How this adapter is asked for, for the command that repeats a failure.
    pub device: String,
}

/// Draws cases of each selected kernel, prints a line a kernel, and for a failure the smallest case.
///
/// Errors: no such kernel; the device is lost.
pub fn report(device: &Device, options: &Options) -> Result<Vec<Row>> {
    if let Some(replay) = &options.replay {
        return Ok(vec![again(device, replay)?]);
    }
    let mut rows = Vec::new();
    for (kernel, strategy) in draws().filter(|(name, _)| name.contains(&options.filter)) {
        let run = |case: &_| pollster::block_on(check(device, case));
        let found = search(kernel, strategy, options.cases, options.seed, run);
        println!("{}", line(kernel, &found));
        if let Some(failure) = &found.failure {
            println!("{}", told(kernel, failure, &options.device));
        }
        rows.push(row(kernel, &found));
        device.check_lost()?;
    }
    if rows.is_empty() {
        return Err(Error::argument("filter", format!("no kernel that draws cases is called {:?}", options.filter)));
    }
    Ok(rows)
}

fn line(kernel: &str, found: &Found) -> String {
    let status = if found.failure.is_some() { "fail" } else { "pass" };
    let Found { ran, unsupported, worst, .. } = found;
    format!("{status:5} {kernel:18} {ran} cases, {worst:.3} of the bound, {unsupported} unsupported")
}

fn told(kernel: &str, failure: &Failure, device: &str) -> String {
    let numbers = written(&failure.numbers);
    format!(
        "      {}\n      row:    {},\n      replay: cargo run -p kernels-test -- draw --replay {kernel}:{numbers}{device}",
        failure.reason, failure.row
    )
}

fn row(kernel: &str, found: &Found) -> Row {
    let (name, status, note) = match &found.failure {
        Some(failure) => (format!("{kernel}:{}", written(&failure.numbers)), "fail", failure),
        None => {
            let status = if found.unsupported == found.ran { "unsupported" } else { "pass" };
            let note = format!("{} cases, {} unsupported", found.ran, found.unsupported);
            let worst = Some(found.worst);
            let kernel = kernel.to_owned();
            return Row { name: kernel.clone(), kernel, status, note, worst, ..Row::default() };
        }
    };
    let note = format!("{}: {}", note.row, note.reason);
    Row { name, kernel: kernel.into(), status, note, ..Row::default() }
}

/// The case of `kernel:1.0.7`.
///
/// Errors: no such kernel, or no numbers.
pub fn case_of(replay: &str) -> Result<(&'static str, Drawn)> {
    let bad = |what: String| Error::argument("replay", what);
    let (kernel, numbers) = replay.split_once(':').ok_or_else(|| bad(format!("{replay:?} is not kernel:1.0.7")))?;
    let found = draws().find(|(name, _)| *name == kernel);
    let (name, strategy) = found.ok_or_else(|| bad(format!("no kernel {kernel:?} draws cases")))?;
    let numbers: std::result::Result<Vec<u32>, _> = numbers.split('.').map(str::parse).collect();
    let numbers = numbers.map_err(|e| bad(format!("{replay:?}: {e}")))?;
    Ok((name, Draw::listed(numbers).case(strategy).0))
}

fn again(device: &Device, replay: &str) -> Result<Row> {
    let (kernel, drawn) = case_of(replay)?;
    let (status, note, worst) = match pollster::block_on(check(device, &drawn.case)) {
        Ok(Outcome::Pass(worst)) => ("pass", format!("{:.3} of the bound", worst.excess), Some(worst.excess)),
        Ok(Outcome::Unsupported(reason)) => ("unsupported", reason, None),
        Ok(Outcome::Fail(reason)) => ("fail", reason, None),
        Err(error) => ("fail", error.to_string(), None),
    };
    println!("{status:5} {kernel}: {note}\n      row:    {},", drawn.row);
    Ok(Row { name: replay.into(), kernel: kernel.into(), status, note, worst, ..Row::default() })
}
