//! Rows of a conformance run, their summary, the page with the table, and dumps of outputs.

use super::OpCase;
use super::compare::{Got, Worst};
use super::dtype::Logical;
use super::execute::{Raw, values};
use super::pack::{Expect, Pack, RawCase};
use omma::gpu::Device;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize_to_file};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What became of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every output within its tolerance.
    Pass,
    /// An output outside, or an error.
    Fail,
    /// We do not do this; the reason says why.
    Unsupported,
}

/// One case of a report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Name of the case.
    pub id: String,
    /// Operator.
    pub op: String,
    /// pass, fail or unsupported.
    pub status: Status,
    /// Cell with the largest error over its tolerance. Not read back: JSON has no infinity.
    #[serde(skip_deserializing)]
    pub worst: Option<Worst>,
    /// Why it failed or is unsupported.
    pub reason: Option<String>,
    /// Family of the pack.
    pub family: String,
    /// Group of the pack.
    pub group: String,
    /// core or extra.
    pub tier: String,
    /// The expected values are disputed: a failure does not count.
    pub contested: bool,
    /// What the case took, compiling and reading back included, in milliseconds.
    pub ms: f64,
}

impl Row {
    pub(super) fn new(pack: &Pack, raw: &RawCase) -> Self {
        Self {
            id: raw.id.clone(),
            op: raw.op.clone(),
            status: Status::Fail,
            worst: None,
            reason: None,
            family: pack.family.clone(),
            group: pack.group.clone(),
            tier: raw.tier.clone(),
            contested: raw.contested(),
            ms: 0.0,
        }
    }
    /// Marks a failure; the first reason stays.
    pub(super) fn fail(&mut self, reason: String) {
        self.status = Status::Fail;
        self.reason.get_or_insert(reason);
    }
    pub(super) fn unsupported(&mut self, reason: String) {
        (self.status, self.reason) = (Status::Unsupported, Some(reason));
    }
    pub(super) fn print(&self) {
        let status = match self.status {
            Status::Pass => return,
            Status::Fail if self.contested => "contested",
            Status::Fail => "fail",
            Status::Unsupported => "unsupported",
        };
        println!("{status:11} {} ({}): {}", self.id, self.tier, self.reason.as_deref().unwrap_or_default());
    }
}

/// A whole run, as `--json` writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// Version of the format.
    pub format: u32,
    /// Adapter.
    pub adapter: String,
    /// Cases.
    pub rows: Vec<Row>,
}

/// Cases, passes, failures (of which contested), unsupported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    cases: usize,
    pass: usize,
    fail: usize,
    contested: usize,
    unsupported: usize,
}

impl Counts {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut counts = Self::default();
        for row in rows {
            counts.cases += 1;
            match row.status {
                Status::Pass => counts.pass += 1,
                Status::Unsupported => counts.unsupported += 1,
                Status::Fail if row.contested => counts.contested += 1,
                Status::Fail => counts.fail += 1,
            }
        }
        counts
    }
    fn show(self) -> String {
        if self.cases == 0 {
            return "-".into();
        }
        let mut text = format!("{} of {}", self.pass, self.cases);
        for (count, what) in [(self.fail, "fail"), (self.contested, "contested"), (self.unsupported, "unsupported")] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        text
    }
}

/// Prints counts by family, operator and tier; whether nothing failed that is not contested.
pub fn summary(rows: &[Row]) -> bool {
    let mut by_op: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_op.entry((&row.family, &row.op)).or_default().push(row);
    }
    for ((family, op), rows) in by_op {
        let tier = |tier: &str| Counts::of(rows.iter().copied().filter(|r| r.tier == tier)).show();
        println!("{family:5} {op:34} core {:34} extra {}", tier("core"), tier("extra"));
    }
    for tier in ["core", "extra"] {
        println!("{tier}: {}", Counts::of(rows.iter().filter(|r| r.tier == tier)).show());
    }
    let all = Counts::of(rows.iter());
    println!("conformance: {} passed, {} failed, {} unsupported", all.pass, all.fail + all.contested, all.unsupported);
    all.fail == 0 && all.pass > 0
}

/// The page `docs/CONFORMANCE.md`: the adapters side by side; of the first a table a family, core and extra apart, and the
/// reasons of what is not a pass.
pub fn table(run: &Run, beside: &[Run]) -> String {
    let rows = &run.rows;
    let mut page =
        String::from("# Conformance\n\nWritten by `kernels-test conformance DIR --table FILE --beside RUN.json`. ");
    page.push_str("A cell is `passed of cases`. What is not a pass is listed below.\n");
    adapters(&mut page, run, beside);
    let mut families: Vec<&str> = rows.iter().map(|r| r.family.as_str()).collect();
    families.sort_unstable();
    families.dedup();
    for family in families {
        let rows: Vec<&Row> = rows.iter().filter(|r| r.family == family).collect();
        let tier = |tier: &str, op: &str| {
            Counts::of(rows.iter().copied().filter(|r| r.tier == tier && (op.is_empty() || r.op == op))).show()
        };
        let _ = write!(page, "\n## {family}\n\n| operator | core | extra |\n|---|---|---|\n");
        let mut ops: Vec<&str> = rows.iter().map(|r| r.op.as_str()).collect();
        ops.sort_unstable();
        ops.dedup();
        for op in ops {
            let _ = writeln!(page, "| {op} | {} | {} |", tier("core", op), tier("extra", op));
        }
        let _ = writeln!(page, "| all | {} | {} |", tier("core", ""), tier("extra", ""));
        reasons(&mut page, &rows);
    }
    page
}

/// A line an adapter, and every case that ends otherwise than on the first.
fn adapters(page: &mut String, first: &Run, beside: &[Run]) {
    page.push_str("\n## Adapters\n\n| adapter | core | extra | seconds | the slowest case |\n|---|---|---|---|---|\n");
    for run in std::iter::once(first).chain(beside) {
        let tier = |tier: &str| Counts::of(run.rows.iter().filter(|r| r.tier == tier)).show();
        let seconds = run.rows.iter().map(|r| r.ms).sum::<f64>() / 1e3;
        let slowest = run.rows.iter().max_by(|a, b| a.ms.total_cmp(&b.ms));
        let slowest = slowest.map_or("-".into(), |r| format!("{}, {:.1} s", r.id, r.ms / 1e3));
        let _ = writeln!(page, "| {} | {} | {} | {seconds:.0} | {slowest} |", run.adapter, tier("core"), tier("extra"));
    }
    page.push_str("\nSeconds hold compiling and reading back. The families below are those of the first adapter. ");
    let other: Vec<String> = beside.iter().flat_map(|run| differences(first, run)).collect();
    match other.is_empty() {
        true => page.push_str("No case ends otherwise on another.\n"),
        false => {
            page.push_str("On another these cases end otherwise:\n\n");
            other.iter().for_each(|line| page.push_str(line));
        }
    }
}

/// Cases of `other` whose status is not that of `first`; a case that only one of them has is one as well.
fn differences(first: &Run, other: &Run) -> Vec<String> {
    let status: BTreeMap<&str, Status> = first.rows.iter().map(|r| (r.id.as_str(), r.status)).collect();
    let told = |r: &&Row| status.get(r.id.as_str()) != Some(&r.status);
    let line = |r: &Row| {
        let reason = r.reason.as_deref().unwrap_or_default();
        format!("* {}: {} is {}: {reason}\n", other.adapter, r.id, format!("{:?}", r.status).to_lowercase())
    };
    let mut lines: Vec<String> = other.rows.iter().filter(told).map(line).collect();
    if other.rows.len() < first.rows.len() {
        lines.push(format!("* {}: {} of {} cases were run\n", other.adapter, other.rows.len(), first.rows.len()));
    }
    lines
}

/// Reasons of what is not a pass, each with its operators and tiers.
fn reasons(page: &mut String, rows: &[&Row]) {
    let mut by_reason: BTreeMap<(&str, &str, &str, &str), usize> = BTreeMap::new();
    for row in rows.iter().filter(|r| r.status != Status::Pass) {
        let status = match row.status {
            Status::Unsupported => "unsupported",
            _ if row.contested => "contested",
            _ => "fail",
        };
        let reason = row.reason.as_deref().unwrap_or_default();
        *by_reason.entry((&row.op, &row.tier, status, reason)).or_default() += 1;
    }
    if by_reason.is_empty() {
        return;
    }
    page.push_str("\n| operator | tier | cases | status | reason |\n|---|---|---|---|---|\n");
    for ((op, tier, status, reason), count) in by_reason {
        let _ = writeln!(page, "| {op} | {tier} | {count} | {status} | {} |", reason.replace('|', "\\|"));
    }
}

/// Type, shape and bytes of a tensor for a dump.
type Dumped = (String, Dtype, Vec<usize>, Vec<u8>);

/// Writes the outputs of a case as `<id>.safetensors`, tensors `o<output>.<name>`: floats as f32, integers and bool in
/// their logical type (those of fewer than 8 bits in 8), small floats as their bits in u8.
pub(super) fn dump(
    dir: &Path,
    case: &OpCase,
    expects: &[Option<Expect>],
    raw: &[Option<Raw>],
    device: &Device,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut all: Vec<Dumped> = Vec::new();
    for (i, (expect, raw)) in expects.iter().zip(raw).enumerate() {
        let (Some(expect), Some(raw)) = (expect, raw) else { continue };
        // A device type that does not hold the output is the verdict's matter.
        let Ok((shape, got)) = values(expect.dtype, raw, device) else { continue };
        let (dtype, bytes) = encode(expect.dtype, &got, raw);
        all.push((format!("o{i}.{}", expect.name), dtype, shape, bytes));
    }
    let views = all
        .iter()
        .map(|(name, dtype, shape, bytes)| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = case.id.chars().map(plain).collect();
    serialize_to_file(views, None, &dir.join(format!("{name}.safetensors")))?;
    Ok(())
}

fn encode(logical: Logical, got: &Got, (_, words): &Raw) -> (Dtype, Vec<u8>) {
    let ints = |size: usize| match got {
        Got::Ints(values) => values.iter().flat_map(|v| v.to_le_bytes().into_iter().take(size)).collect(),
        Got::Floats(_) => Vec::new(),
    };
    match logical {
        _ if logical.is_float() => (Dtype::F32, got.floats().iter().flat_map(|v| (*v as f32).to_le_bytes()).collect()),
        _ if logical.is_small_float() => (Dtype::U8, words.chunks_exact(4).take(got.count()).map(|w| w[0]).collect()),
        Logical::I64 => (Dtype::I64, ints(8)),
        Logical::U64 => (Dtype::U64, ints(8)),
        Logical::I32 => (Dtype::I32, ints(4)),
        Logical::U32 => (Dtype::U32, ints(4)),
        Logical::I16 => (Dtype::I16, ints(2)),
        Logical::U16 => (Dtype::U16, ints(2)),
        Logical::Bool => (Dtype::BOOL, ints(1)),
        _ if logical.is_signed() => (Dtype::I8, ints(1)),
        _ => (Dtype::U8, ints(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(op: &str, tier: &str, status: Status, contested: bool) -> Row {
        let reason = (status != Status::Pass).then(|| "no such | kernel".into());
        let (id, family, group) = (format!("onnx.{op}"), "onnx".into(), "g".into());
        Row { id, op: op.into(), status, worst: None, reason, family, group, tier: tier.into(), contested, ms: 0.0 }
    }

    fn run(adapter: &str, rows: &[Row]) -> Run {
        Run { format: 1, adapter: adapter.into(), rows: rows.to_vec() }
    }

    #[test]
    fn adapters_stand_side_by_side_and_differences_are_named() {
        let good = [row("Relu", "core", Status::Pass, false), row("Erf", "core", Status::Pass, false)];
        let bad = [row("Relu", "core", Status::Fail, false)];
        let same = table(&run("one", &good), &[run("two", &good)]);
        assert!(same.contains("| two | 2 of 2 | - |") && same.contains("No case ends otherwise"), "{same}");
        let other = table(&run("one", &good), &[run("two", &bad)]);
        assert!(other.contains("* two: onnx.Relu is fail: no such | kernel"), "{other}");
        assert!(other.contains("* two: 1 of 2 cases were run"), "{other}");
    }

    #[test]
    fn the_table_counts_tiers_apart_and_gives_reasons() {
        let rows = [
            row("Relu", "core", Status::Pass, false),
            row("Relu", "core", Status::Unsupported, false),
            row("Relu", "extra", Status::Fail, true),
        ];
        let page = table(&run("test", &rows), &[]);
        assert!(page.contains("| Relu | 1 of 2, 1 unsupported | 0 of 1, 1 contested |"), "{page}");
        assert!(page.contains("| Relu | core | 1 | unsupported | no such \\| kernel |"), "{page}");
        assert!(summary(&rows), "what is contested does not fail a run");
        assert!(!summary(&[row("Relu", "core", Status::Fail, false)]));
    }
}
