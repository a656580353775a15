//! What `kernels-test test --record NAME` measured on an adapter, kept in `measured/NAME.tsv`: kernel x element type x
//! weight format, with the worst error against its bound. `docs/KERNELS.md` shows these files; no adapter is needed
//! to check that it does, and that every kernel of the registry has its rows.

use crate::case::Case;
use crate::cases::CASES;
use crate::report::Row;
use omma::kernels::{Layout, TensorType};
use omma::text::CivilTime;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Kernel, element type, weight format.
pub type Key = (String, String, String);

/// The worst of the cases of a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// Cases that ran, and those that the adapter lacks something for.
    pub cases: (usize, usize),
    /// Error over bound; `None`: no case ran.
    pub excess: Option<f64>,
    /// The day, as `2026-11-24`.
    pub date: String,
}

/// The file of an adapter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Name and driver.
    pub adapter: String,
    /// What was measured.
    pub rows: BTreeMap<Key, Worst>,
}

const HEAD: &str = "kernel\telements\tweights\tran\tunsupported\tworst\tdate";

/// Element type and weight format of a case: the type of the first input where that is a float, else that of the
/// output; the layout or type of a weight in panels or packed, else nothing.
pub fn kind(case: &Case) -> (String, String) {
    let inputs: Vec<TensorType> = case.inputs.iter().map(|i| i.ty.clone()).collect();
    let weight = inputs.iter().find_map(|ty| match ty.layout {
        Layout::Rows => None,
        Layout::Panels => Some(ty.dtype.name().to_owned()),
        Layout::Packed(packing) => Some(packing.name()),
    });
    let first = inputs.first().filter(|ty| ty.layout == Layout::Rows);
    let output = case.kernel.infer(&inputs).ok().and_then(|outputs| outputs.into_iter().next());
    let float = first.filter(|ty| ty.dtype.is_float());
    let elements = float.or(output.as_ref()).or(first).map_or("", |ty| ty.dtype.name());
    (elements.to_owned(), weight.unwrap_or_default())
}

/// The keys of all case lists that are tested.
pub fn keys() -> BTreeSet<Key> {
    let cases = CASES.iter().flat_map(|(name, cases)| cases().into_iter().map(move |case| (*name, case)));
    let key = |(name, case): (&str, Case)| {
        let (elements, weights) = kind(&case);
        (name.to_owned(), elements, weights)
    };
    cases.filter(|(_, case)| !case.bench_only).map(key).collect()
}

impl Measured {
    /// What rows of a test amount to, measured today.
    pub fn of(adapter: String, rows: &[Row]) -> Self {
        let today = CivilTime::from_system_clock().map(|t| format!("{:04}-{:02}-{:02}", t.year, t.month, t.day));
        let mut measured = Self { adapter, rows: BTreeMap::new() };
        for row in rows {
            let key = (row.kernel.clone(), row.elements.clone(), row.weights.clone());
            let none = Worst { cases: (0, 0), excess: None, date: today.clone().unwrap_or_default() };
            let worst = measured.rows.entry(key).or_insert(none);
            match row.worst {
                Some(excess) => {
                    worst.cases.0 += 1;
                    worst.excess = Some(worst.excess.map_or(excess, |e| e.max(excess)));
                }
                None => worst.cases.1 += 1,
            }
        }
        measured
    }

    /// The file with these rows instead of its own of the same kernels; rows of kernels that are no more are dropped.
    ///
    /// Errors: it is of another adapter or driver.
    #[must_use = "the file is not written"]
    pub fn with(mut self, newer: Measured) -> Result<Self, String> {
        if self.adapter != newer.adapter && !self.rows.is_empty() {
            return Err(format!(
                "holds what {} measured, not {}: record all kernels anew",
                self.adapter, newer.adapter
            ));
        }
        let again: BTreeSet<&String> = newer.rows.keys().map(|(kernel, _, _)| kernel).collect();
        self.rows.retain(|(kernel, _, _), _| !again.contains(kernel) && CASES.iter().any(|(name, _)| name == kernel));
        self.adapter.clone_from(&newer.adapter);
        self.rows.extend(newer.rows);
        Ok(self)
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let mut text = format!("# adapter\t{}\n{HEAD}\n", self.adapter);
        for ((kernel, elements, weights), worst) in &self.rows {
            let (ran, unsupported) = worst.cases;
            let excess = worst.excess.map_or(String::new(), |e| format!("{e:.3}"));
            let date = &worst.date;
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{kernel}\t{elements}\t{weights}\t{ran}\t{unsupported}\t{excess}\t{date}");
        }
        text
    }

    /// The file of this text.
    ///
    /// Errors: what is wrong, with the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let adapter = lines.next().and_then(|line| line.strip_prefix("# adapter\t")).ok_or("names no adapter")?;
        if lines.next() != Some(HEAD) {
            return Err(format!("does not have the columns {HEAD:?}"));
        }
        let row = |line: &str| -> Option<(Key, Worst)> {
            let [kernel, elements, weights, ran, unsupported, excess, date] =
                line.split('\t').map(str::to_owned).collect::<Vec<_>>().try_into().ok()?;
            let excess = if excess.is_empty() { None } else { Some(excess.parse().ok()?) };
            let cases = (ran.parse().ok()?, unsupported.parse().ok()?);
            Some(((kernel, elements, weights), Worst { cases, excess, date }))
        };
        let rows = lines.map(|line| row(line).ok_or_else(|| format!("has the line {line:?}")));
        Ok(Self { adapter: adapter.to_owned(), rows: rows.collect::<Result<_, _>>()? })
    }

    /// What does not fit the registry: keys of the case lists without a row, and rows without a case.
    pub fn findings(&self, keys: &BTreeSet<Key>) -> Vec<String> {
        let show = |key: &Key| format!("{} {} {}", key.0, key.1, key.2).trim_end().to_owned();
        let missing = keys.iter().filter(|key| !self.rows.contains_key(*key));
        let stale = self.rows.keys().filter(|key| !keys.contains(*key));
        let missing = missing.map(|key| format!("{} is not measured", show(key)));
        missing.chain(stale.map(|key| format!("{} has no case", show(key)))).collect()
    }
}

/// The folder of the files.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("measured")
}

/// All files by name, in alphabetical order.
///
/// Errors: a file that cannot be read.
pub fn files() -> Result<Vec<(String, Measured)>, String> {
    let entries = std::fs::read_dir(folder()).map_err(|e| format!("kernels-test/measured: {e}"))?;
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| format!("kernels-test/measured: {e}"))?.path();
        if path.extension().is_some_and(|e| e == "tsv") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).map_err(|e| format!("measured/{name}.tsv: {e}"))?;
            all.push((name.clone(), Measured::parse(&text).map_err(|e| format!("measured/{name}.tsv {e}"))?));
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

/// Writes what an adapter measured; kernels that were not measured keep their rows.
///
/// Errors: a case failed; a file of another driver; a name that is no file name.
pub fn record(name: &str, adapter: String, rows: &[Row]) -> Result<(), String> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Err(format!("{name:?} is no name: a-z, 0-9 and - make one"));
    }
    if let Some(row) = rows.iter().find(|row| row.status == "fail") {
        return Err(format!("{} failed: nothing is recorded", row.name));
    }
    let newer = Measured::of(adapter, rows);
    let all = keys().iter().all(|key| newer.rows.contains_key(key));
    let path = folder().join(format!("{name}.tsv"));
    let older = match std::fs::read_to_string(&path) {
        Ok(text) if !all => Measured::parse(&text).map_err(|e| format!("measured/{name}.tsv {e}"))?,
        _ => Measured::default(),
    };
    let text = older.with(newer).map_err(|e| format!("measured/{name}.tsv {e}"))?.text();
    std::fs::create_dir_all(folder()).and_then(|()| std::fs::write(&path, text)).map_err(|e| format!("{name}: {e}"))
}

/// The table of the page: a line a key, a column an adapter.
pub fn table(files: &[(String, Measured)]) -> String {
    let keys: BTreeSet<&Key> = files.iter().flat_map(|(_, measured)| measured.rows.keys()).collect();
    let mut text = String::from(
        "\n## Worst error against its bound\n\nThe largest `|error| / bound` of all cells that the cases compare, as \
         `kernels-test test --record NAME` measured it: 1 is the bound itself, 0 is exact or below 0.0005, a dash is a type that the \
         adapter lacks. Behind it the number of cases, with an adapter's variants for GPUs among them.\n\n",
    );
    for (name, measured) in files {
        let dates: BTreeSet<&str> = measured.rows.values().map(|row| row.date.as_str()).collect();
        let (first, last) = (dates.first().unwrap_or(&""), dates.last().unwrap_or(&""));
        let when = if first == last { (*first).to_owned() } else { format!("{first} to {last}") };
        let _ = writeln!(text, "* `{name}`: {}, {when}", measured.adapter);
    }
    let columns: String = files.iter().map(|(name, _)| format!(" {name} |")).collect();
    let rule = "---|".repeat(files.len());
    let _ = writeln!(text, "\n| kernel | elements | weights |{columns}\n|---|---|---|{rule}");
    for key in keys {
        let cell = |measured: &Measured| match measured.rows.get(key) {
            Some(Worst { cases, excess: Some(excess), .. }) => format!("{excess} ({})", cases.0),
            _ => "-".to_owned(),
        };
        let cells: String = files.iter().map(|(_, measured)| format!(" {} |", cell(measured))).collect();
        let (kernel, elements, weights) = key;
        let _ = writeln!(text, "| `{kernel}` | {elements} | {weights} |{cells}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kernel: &str, status: &'static str, worst: Option<f64>) -> Row {
        let elements = "f32".to_owned();
        Row { name: format!("{kernel}/1"), kernel: kernel.into(), elements, status, worst, ..Row::default() }
    }

    fn measured(rows: &[Row]) -> Measured {
        Measured::of("an adapter (driver 1)".into(), rows)
    }

    #[test]
    fn files_are_read_as_they_are_written() {
        let rows =
            [row("softmax", "pass", Some(0.25)), row("softmax", "pass", Some(0.5)), row("pad", "unsupported", None)];
        let all = measured(&rows);
        let key = ("softmax".to_owned(), "f32".to_owned(), String::new());
        assert_eq!((all.rows[&key].cases, all.rows[&key].excess), ((2, 0), Some(0.5)));
        assert_eq!(Measured::parse(&all.text()).unwrap(), all);
        Measured::parse("").unwrap_err();
        Measured::parse(&all.text().replace("0.500", "half")).unwrap_err();
        let table = table(&[("name".into(), all)]);
        assert!(table.contains("| `softmax` | f32 |  | 0.5 (2) |"), "{table}");
        assert!(table.contains("| `pad` | f32 |  | - |"), "{table}");
    }

    #[test]
    fn kernels_are_recorded_one_by_one_but_not_on_two_drivers() {
        let both = measured(&[row("softmax", "pass", Some(0.25)), row("pad", "pass", Some(0.0))]);
        let newer = measured(&[row("softmax", "pass", Some(0.75))]);
        let merged = both.clone().with(newer.clone()).unwrap();
        assert_eq!(merged.rows.values().map(|w| w.excess.unwrap()).collect::<Vec<_>>(), [0.0, 0.75]);
        let other = Measured { adapter: "another".into(), ..newer };
        both.with(other).unwrap_err();
    }

    #[test]
    fn what_is_missing_or_stale_is_named() {
        let key = |kernel: &str| (kernel.to_owned(), "f32".to_owned(), String::new());
        let wanted = BTreeSet::from([key("softmax"), key("scan")]);
        let found = measured(&[row("softmax", "pass", Some(0.25)), row("pad", "pass", Some(0.0))]).findings(&wanted);
        assert_eq!(found, ["scan f32 is not measured", "pad f32 has no case"]);
    }

    #[test]
    fn a_failure_is_not_recorded() {
        record("nobody", "an adapter".into(), &[row("softmax", "fail", None)]).unwrap_err();
        record("../x", "an adapter".into(), &[]).unwrap_err();
    }
}
