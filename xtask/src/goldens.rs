//! Golden model cases: run each through `omma run`, compare every stage that its `case.json` lists.
//!
//! `goldens.txt` names the cases that have to pass. The cases themselves are not in the repository: they lie in
//! `../shared` beside it, or where `OMMA_SHARED` says. This file reads safetensors by itself, so that an error of
//! the engine's own reader cannot hide in the comparison.

use crate::driver::Adapter;
use crate::steps::{self, root};
use clap::ArgMatches;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LIST: &str = "xtask/goldens.txt";
/// Cases below this lie in the repository itself.
const OWN: &str = "kernels-test/goldens/";
/// A stage passes when every element is within `suggested_atol + RELATIVE * |expected|`.
const RELATIVE: f64 = 1e-4;

/// `goldens [filter] [--adapter A]`.
pub fn command(args: &ArgMatches) -> Result<bool, String> {
    let filter = args.get_one::<String>("filter").map_or("", String::as_str);
    let adapters = adapters(args)?;
    let folder = folder().ok_or("no golden cases: put them in ../shared beside the repository, or set OMMA_SHARED")?;
    let mut good = true;
    for adapter in &adapters {
        good &= run(adapter, &folder, filter)?;
    }
    Ok(good)
}

/// The adapters that `--adapter` names; without it both software adapters.
pub fn adapters(args: &ArgMatches) -> Result<Vec<Adapter>, String> {
    Ok(match args.get_one::<String>("adapter").map(String::as_str) {
        Some("lavapipe") => vec![crate::driver::lavapipe(false)?],
        Some("swiftshader") => vec![crate::driver::swiftshader()?],
        Some(_) => vec![crate::driver::any()?],
        None => vec![crate::driver::lavapipe(false)?, crate::driver::swiftshader()?],
    })
}

/// The folder with the golden cases, if it is there.
pub fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("OMMA_SHARED").map(PathBuf::from);
    named.or_else(|| Some(root().parent()?.join("shared"))).filter(|p| p.join("cases").is_dir())
}

/// Cases of the list whose name contains `filter`.
pub fn listed(filter: &str) -> Result<Vec<String>, String> {
    names(LIST, filter)
}

/// Where a listed case lies: in the repository or in the folder with the golden cases.
pub fn case_folder(folder: &Path, name: &str) -> PathBuf {
    if name.starts_with(OWN) { root().join(name) } else { folder.join(name) }
}

/// Names in a list of cases, one a line, that contain `filter`.
pub fn names(list: &str, filter: &str) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(root().join(list)).map_err(|e| format!("{list}: {e}"))?;
    let lines = text.lines().map(|l| l.split('#').next().unwrap_or_default().trim());
    Ok(lines.filter(|l| !l.is_empty() && l.contains(filter)).map(String::from).collect())
}

/// Runs the listed cases on one adapter; prints a line for each and the worst stage.
pub fn run(adapter: &Adapter, folder: &Path, filter: &str) -> Result<bool, String> {
    let cases = listed(filter)?;
    if cases.is_empty() {
        return Err(format!("{LIST} lists no case of that name"));
    }
    let mut build = steps::cargo(&["build", "--quiet", "--package", "omma", "--bin", "omma"]);
    if !steps::run(&mut build)? {
        return Err("omma does not build".into());
    }
    let mut failed = 0;
    for name in &cases {
        let case = case_folder(folder, name);
        for way in ways(&case) {
            let place = Place { adapter, case: case.clone(), label: format!("{name}{}", way.label()) };
            match one(&place, &way) {
                Ok(worst) => println!("passed  {}: {}  {worst}", adapter.name, place.label),
                Err(reason) => {
                    failed += 1;
                    println!("FAILED  {}: {}  {reason}", adapter.name, place.label);
                }
            }
        }
    }
    println!("{}: {} cases, {failed} runs failed", adapter.name, cases.len());
    Ok(failed == 0)
}

struct Place<'a> {
    adapter: &'a Adapter,
    case: PathBuf,
    label: String,
}

/// One way of running a case.
#[derive(Debug, Clone, PartialEq)]
enum Way {
    Inputs,
    Pictures,
    /// `--checkpoint` with this word.
    Checkpoint(&'static str),
}

impl Way {
    fn label(&self) -> String {
        match self {
            Self::Inputs => String::new(),
            Self::Pictures => " from pictures".into(),
            Self::Checkpoint(word) => format!(" {word}"),
        }
    }
    fn args(&self) -> Vec<&str> {
        match self {
            Self::Inputs => vec![],
            Self::Pictures => vec!["--from", "pictures"],
            Self::Checkpoint(word) => vec!["--checkpoint", word],
        }
    }
}

/// The ways that the files of a case offer.
fn ways(case: &Path) -> Vec<Way> {
    let files = [
        ("f16", "f16"),
        ("bf16", "bf16"),
        ("sharded", "sharded"),
        ("layout_v5", "layout_v5.json"),
        ("sparse", "config_sparse.json"),
    ];
    let copies = files.into_iter().filter(|(_, file)| case.join(file).exists()).map(|(word, _)| Way::Checkpoint(word));
    [Way::Inputs, Way::Pictures].into_iter().chain(copies).collect()
}

/// Runs one case one way; the worst stage, or what is wrong.
fn one(place: &Place<'_>, way: &Way) -> Result<String, String> {
    let case = case_json(&place.case)?;
    let out = root().join("target/goldens").join(&place.adapter.name);
    std::fs::create_dir_all(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    let dump = out.join(format!("{}.safetensors", place.label.replace(['/', ' '], "-")));
    let mut command = steps::cargo(&["run", "--quiet", "--package", "omma", "--bin", "omma", "--", "run"]);
    command.arg(&place.case).args(way.args()).arg("--dump").arg(&dump);
    place.adapter.select(&mut command);
    steps::output(&mut command)?;
    let mut worst = Worst::default();
    for (i, sample) in case["samples"].as_array().into_iter().flatten().enumerate() {
        let dumped = if i == 0 { dump.clone() } else { dump.with_file_name(numbered(&dump, i)) };
        sample_stages(place, way, sample, &dumped, &mut worst)?;
        same_as_parent(place, way, &dumped)?;
    }
    Ok(worst.show())
}

/// case.json of a case.
pub fn case_json(case: &Path) -> Result<Value, String> {
    let text = std::fs::read(case.join("case.json")).map_err(|e| format!("case.json: {e}"))?;
    serde_json::from_slice(&text).map_err(|e| format!("case.json: {e}"))
}

/// Name of the dump of sample `i`, beside that of the first.
pub fn numbered(dump: &Path, i: usize) -> String {
    format!("{}_{i}.safetensors", dump.file_stem().unwrap_or_default().to_string_lossy())
}

/// The stage that comes nearest to its bound.
#[derive(Debug, Default)]
pub struct Worst {
    stage: String,
    ratio: f64,
}

impl Worst {
    /// Takes a stage that used `ratio` of its bound, if it is worse.
    pub fn take(&mut self, stage: &str, ratio: f64) {
        if ratio >= self.ratio {
            *self = Self { stage: stage.to_owned(), ratio };
        }
    }
    /// A few words.
    pub fn show(&self) -> String {
        format!("worst {} at {:.2} of its bound", self.stage, self.ratio)
    }
}

fn sample_stages(place: &Place<'_>, way: &Way, sample: &Value, dump: &Path, worst: &mut Worst) -> Result<(), String> {
    let got = read(dump)?;
    let inputs = read(&place.case.join(sample["inputs"].as_str().unwrap_or("inputs.safetensors")))?;
    if *way == Way::Pictures {
        recomputed(&got, &inputs)?;
    }
    let own = matches!(way, Way::Checkpoint("f16" | "bf16"));
    let copy = way.args().last().copied().unwrap_or_default();
    let mut files: BTreeMap<&str, Tensors> = BTreeMap::new();
    for (name, stage) in sample["stages"].as_object().into_iter().flatten() {
        let file = stage["file"].as_str().unwrap_or("expected.safetensors");
        let of_copy = own && file.starts_with("expected");
        if !files.contains_key(file) {
            let path = if of_copy { place.case.join(copy).join(file) } else { place.case.join(file) };
            files.insert(file, read(&path)?);
        }
        let want = files[file].get(stage["tensor"].as_str().unwrap_or(name));
        let Some(want) = want else {
            if of_copy {
                continue; // a half copy holds only some of the stages
            }
            return Err(format!("{name}: not in {file}"));
        };
        let have = got.get(name).ok_or_else(|| format!("stage {name} was not dumped"))?;
        let atol = stage["suggested_atol"].as_f64().unwrap_or(0.0);
        let ratio = compare(have, want, atol, inputs.get("attention_mask")).map_err(|e| format!("{name}: {e}"))?;
        worst.take(name, ratio);
    }
    Ok(())
}

/// What a picture and a prompt determine is recomputed and dumped; it has to be what the original made of them.
fn recomputed(got: &Tensors, inputs: &Tensors) -> Result<(), String> {
    for name in ["pixel_values", "pixel_attention_mask", "input_ids", "attention_mask"] {
        let Some(want) = inputs.get(name) else { continue };
        let have = got.get(name).ok_or_else(|| format!("{name} was not recomputed"))?;
        let atol = 2e-6 * want.data.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        compare(have, want, atol, None).map_err(|e| format!("recomputed {name}: {e}"))?;
    }
    Ok(())
}

/// A sharded checkpoint holds the same numbers, so its dump is the parent's, bit for bit.
fn same_as_parent(place: &Place<'_>, way: &Way, dump: &Path) -> Result<(), String> {
    if *way != Way::Checkpoint("sharded") {
        return Ok(());
    }
    let name = dump.file_name().unwrap_or_default().to_string_lossy().replace("-sharded", "");
    let parent = dump.with_file_name(name);
    if !parent.is_file() || read(&parent)? == read(dump)? {
        return Ok(());
    }
    Err(format!("{}: the sharded checkpoint gives other numbers than the whole one", place.label))
}

/// A tensor as plain numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    integer: bool,
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl Tensor {
    /// Extents, slowest axis first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
    /// Elements in order.
    pub fn data(&self) -> &[f64] {
        &self.data
    }
    /// Floats of a shape.
    #[cfg(test)]
    pub fn of(shape: &[usize], data: &[f64]) -> Self {
        Self { integer: false, shape: shape.to_vec(), data: data.to_vec() }
    }
}

/// Tensors of a file by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// The largest difference as a part of its bound, or what is beyond it. Integers have to be equal. Rows that the
/// attention mask leaves out are not compared.
pub fn compare(got: &Tensor, want: &Tensor, atol: f64, mask: Option<&Tensor>) -> Result<f64, String> {
    if got.shape != want.shape {
        return Err(format!("shape {:?}, expected {:?}", got.shape, want.shape));
    }
    let row: usize = want.shape.iter().skip(2).product();
    let mask = mask.filter(|m| m.shape.len() == 2 && want.shape.len() > 2 && want.shape[..2] == m.shape[..]);
    let mut worst = 0.0;
    for (i, (g, w)) in got.data.iter().zip(&want.data).enumerate() {
        if mask.is_some_and(|m| m.data[i / row] == 0.0) {
            continue;
        }
        let bound = if want.integer { 0.0 } else { atol + RELATIVE * w.abs() };
        let difference = (g - w).abs();
        if difference.is_nan() || difference > bound {
            return Err(format!("element {i} is {g:e}, expected {w:e}, off by {difference:e}, bound {bound:e}"));
        }
        if bound > 0.0 {
            worst = f64::max(worst, difference / bound);
        }
    }
    Ok(worst)
}

/// Tensors of a safetensors file.
pub fn read(path: &Path) -> Result<Tensors, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse(&bytes).ok_or_else(|| format!("{}: not a safetensors file of known types", path.display()))
}

fn parse(bytes: &[u8]) -> Option<Tensors> {
    let length = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?) as usize;
    let end = length.checked_add(8)?;
    let header: Value = serde_json::from_slice(bytes.get(8..end)?).ok()?;
    let data = bytes.get(end..)?;
    let mut tensors = Tensors::new();
    for (name, entry) in header.as_object()?.iter().filter(|(name, _)| *name != "__metadata__") {
        let number = |v: &Value| v.as_u64().map(|n| n as usize);
        let shape: Vec<usize> = entry["shape"].as_array()?.iter().map(number).collect::<Option<_>>()?;
        let range = number(&entry["data_offsets"][0])?..number(&entry["data_offsets"][1])?;
        let (integer, data) = numbers(entry["dtype"].as_str()?, data.get(range)?)?;
        if data.len() != shape.iter().product::<usize>() {
            return None;
        }
        tensors.insert(name.clone(), Tensor { integer, shape, data });
    }
    Some(tensors)
}

/// Whether the type is an integer type, and the values.
fn numbers(dtype: &str, bytes: &[u8]) -> Option<(bool, Vec<f64>)> {
    macro_rules! values {
        ($t:ty) => {
            bytes
                .chunks_exact(size_of::<$t>())
                .filter_map(|c| Some(<$t>::from_le_bytes(c.try_into().ok()?) as f64))
                .collect()
        };
    }
    Some(match dtype {
        "F64" => (false, values!(f64)),
        "F32" => (false, values!(f32)),
        "I64" => (true, values!(i64)),
        "U64" => (true, values!(u64)),
        "I32" => (true, values!(i32)),
        "U32" => (true, values!(u32)),
        "I8" => (true, values!(i8)),
        "U8" | "BOOL" => (true, values!(u8)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], data: &[f64]) -> Tensor {
        Tensor::of(shape, data)
    }

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    #[test]
    fn the_bound_is_absolute_plus_relative() {
        let want = tensor(&[2], &[0.0, 100.0]);
        assert!(compare(&tensor(&[2], &[1e-6, 100.009]), &want, 1e-6, None).is_ok_and(|r| r > 0.8));
        assert!(compare(&tensor(&[2], &[2e-6, 100.0]), &want, 1e-6, None).is_err());
        assert!(compare(&tensor(&[2], &[0.0, 100.02]), &want, 1e-6, None).is_err());
        assert!(compare(&tensor(&[2], &[0.0, f64::NAN]), &want, 1e-6, None).is_err());
        assert!(compare(&tensor(&[1, 2], &[0.0, 100.0]), &want, 1e-6, None).is_err());
    }

    #[test]
    fn integers_are_equal_or_wrong() {
        let ids = |last: f64| Tensor { integer: true, ..tensor(&[2], &[1000.0, last]) };
        assert!(compare(&ids(7.0), &ids(7.0), 1.0, None).is_ok());
        assert!(compare(&ids(8.0), &ids(7.0), 1.0, None).is_err());
    }

    #[test]
    fn masked_rows_are_left_out() {
        let mask = tensor(&[1, 2], &[0.0, 1.0]);
        let want = tensor(&[1, 2, 2], &[1.0, 1.0, 1.0, 1.0]);
        assert!(compare(&tensor(&[1, 2, 2], &[9.0, 9.0, 1.0, 1.0]), &want, 1e-6, Some(&mask)).is_ok());
        assert!(compare(&tensor(&[1, 2, 2], &[1.0, 1.0, 1.0, 9.0]), &want, 1e-6, Some(&mask)).is_err());
    }

    #[test]
    fn what_pictures_determine_is_compared() {
        let file = |ids: f64| Tensors::from([("input_ids".into(), Tensor { integer: true, ..tensor(&[1], &[ids]) })]);
        assert!(recomputed(&file(3.0), &file(3.0)).is_ok());
        assert!(recomputed(&file(4.0), &file(3.0)).is_err());
        assert!(recomputed(&Tensors::new(), &file(3.0)).is_err());
    }

    #[test]
    fn safetensors_are_read() {
        let good = file(r#"{"a":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}"#, &[1, 0, 0, 0, 255, 255, 255, 255]);
        let tensors = parse(&good).unwrap_or_default();
        assert_eq!(tensors["a"], Tensor { integer: true, shape: vec![2], data: vec![1.0, -1.0] });
    }

    #[test]
    fn the_listed_cases_are_readable() -> Result<(), String> {
        let shared = folder();
        if shared.is_none() {
            eprintln!("skipped: there are no golden cases beside the repository");
        }
        let own = |name: &String| shared.is_some() || name.starts_with(OWN);
        for name in listed("")?.into_iter().filter(own) {
            let case = case_folder(shared.as_deref().unwrap_or(Path::new("")), &name);
            let text = std::fs::read(case.join("case.json")).map_err(|e| format!("{name}: {e}"))?;
            let json: Value = serde_json::from_slice(&text).map_err(|e| format!("{name}: {e}"))?;
            for sample in json["samples"].as_array().into_iter().flatten() {
                for (stage, entry) in sample["stages"].as_object().into_iter().flatten() {
                    let file = read(&case.join(entry["file"].as_str().unwrap_or_default()))?;
                    let tensor = file.get(entry["tensor"].as_str().unwrap_or_default());
                    let tensor = tensor.ok_or_else(|| format!("{name}: {stage} is not there"))?;
                    assert_eq!(compare(tensor, tensor, 0.0, None), Ok(0.0), "{name}: {stage}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn broken_files_are_refused() {
        let short = file(r#"{"a":{"dtype":"I32","shape":[3],"data_offsets":[0,8]}}"#, &[0; 8]);
        let outside = file(r#"{"a":{"dtype":"I32","shape":[2],"data_offsets":[4,12]}}"#, &[0; 8]);
        for bytes in [&short[..], &outside, &[255; 8], b"abc"] {
            assert_eq!(parse(bytes), None);
        }
    }
}
