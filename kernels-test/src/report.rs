//! The modes: every case tested, timed, or asked whether the adapter can run it.

use crate::case::Case;
use crate::cases::CASES;
use crate::measured::kind;
use crate::run::{Outcome, Prepared, check};
use omma::Result;
use omma::gpu::Device;
use omma::kernels::{Io, Resize, TensorType};
use omma::measure::{ceilings, time};
use serde::Serialize;
use std::any::Any;

/// One row of a report.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Row {
    /// `kernel/case`
    pub name: String,
    /// Kernel.
    pub kernel: String,
    /// Element type.
    pub elements: String,
    /// Weight format, where there is a weight in panels or packed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub weights: String,
    /// pass, fail or unsupported.
    pub status: &'static str,
    /// Why it failed or is unsupported, or the worst cell's share of its bound.
    pub note: String,
    /// Error over bound of the worst cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<f64>,
    /// Milliseconds, median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
    /// Share of the adapter's ceiling: FMA rate for kernels with flops, copy bandwidth for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_ceiling: Option<f64>,
}

/// Cases whose `kernel/name` contains `filter`.
pub fn selected(filter: &str, bench: bool) -> Vec<Case> {
    let all = CASES.iter().flat_map(|(_, cases)| cases());
    let wanted = |c: &Case| if bench { c.bench } else { !c.bench_only };
    all.filter(wanted).filter(|c| title(c).contains(filter)).collect()
}

fn title(case: &Case) -> String {
    format!("{}/{}", case.kernel.name(), case.name)
}

fn row(case: &Case, status: &'static str, note: String) -> Row {
    let (kernel, (elements, weights)) = (case.kernel.name().to_owned(), kind(case));
    Row { name: title(case), kernel, elements, weights, status, note, ..Row::default() }
}

/// Tests every selected case and prints what is not a pass.
pub async fn test(device: &Device, filter: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for case in selected(filter, false) {
        let row = match check(device, &case).await {
            Ok(Outcome::Pass(worst)) => {
                let note = format!("{:.3} of the bound", worst.excess);
                Row { worst: Some(worst.excess), ..row(&case, "pass", note) }
            }
            Ok(Outcome::Fail(reason)) => row(&case, "fail", reason),
            Ok(Outcome::Unsupported(reason)) => row(&case, "unsupported", reason),
            Err(error) => row(&case, "fail", error.to_string()),
        };
        if row.status != "pass" {
            println!("{:11} {}: {}", row.status, row.name, row.note);
        }
        rows.push(row);
        device.check_lost()?;
    }
    Ok(rows)
}

/// Asks the descriptors which cases this device can run.
pub fn support(device: &Device, filter: &str) -> Vec<Row> {
    let ask = |case: &Case| {
        let inputs: Vec<TensorType> = case.inputs.iter().map(|i| i.ty.clone()).collect();
        let outputs = case.kernel.infer(&inputs)?;
        case.kernel.launch(&Io { inputs: &inputs, outputs: &outputs }, device.caps())
    };
    let answer = |case: Case| match ask(&case) {
        Ok(launches) => row(&case, "pass", launches[0].files.join("+")),
        Err(error) => row(&case, "unsupported", error.to_string()),
    };
    let rows: Vec<Row> = selected(filter, false).into_iter().map(answer).collect();
    for row in &rows {
        println!("{:11} {}: {}", row.status, row.name, row.note);
    }
    rows
}

/// Times every bench row against the ceilings measured around it.
pub async fn perf(device: &Device, filter: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for case in selected(filter, true) {
        let prepared = match Prepared::new(device, &case).await {
            Ok(prepared) => prepared,
            Err(error) => {
                rows.push(row(&case, "unsupported", error.to_string()));
                continue;
            }
        };
        let before = ceilings(device).await?;
        let ms = time(device, &prepared.program).await?;
        let after = ceilings(device).await?;
        let best = before.max(&after);
        let mut cost = prepared.program.plan().cost();
        // Integer multiply-adds are held against the rate of the f32 ones.
        cost.flops += 2 * (&*case.kernel as &dyn Any).downcast_ref::<Resize>().map_or(0, Resize::multiply_adds);
        let (gflops, gbps) = (cost.flops as f64 / ms / 1e6, cost.bytes as f64 / ms / 1e6);
        // Roofline: the ceiling that takes longer is the one that counts.
        let share = (gflops / best.gflops).max(gbps / best.gbps);
        let note = format!(
            "{ms:.2} ms, {gflops:.2} of {:.1} GFLOP/s ({:.0} %), {gbps:.2} of {:.1} GB/s ({:.0} %), {:.0} % of the ceiling",
            best.gflops,
            100.0 * gflops / best.gflops,
            best.gbps,
            100.0 * gbps / best.gbps,
            100.0 * share
        );
        println!("{:45} {note}", title(&case));
        rows.push(Row { ms: Some(ms), of_ceiling: Some(share), ..row(&case, "pass", note) });
    }
    Ok(rows)
}

/// Prints the closing line; whether nothing failed.
pub fn summary(rows: &[Row]) -> bool {
    let count = |status| rows.iter().filter(|r| r.status == status).count();
    let (passed, failed, unsupported) = (count("pass"), count("fail"), count("unsupported"));
    println!("kernels: {passed} passed, {failed} failed, {unsupported} unsupported");
    failed == 0 && passed > 0
}
