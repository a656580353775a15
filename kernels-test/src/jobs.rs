//! Cases as files, for a runner in another language on another WebGPU: shaders, operands and dispatches are written,
//! the outputs that it leaves are read back and compared. What runs them on Dawn is `kernels-test/dawn/run.mjs`.

use crate::case::Case;
use crate::cases::CASES;
use crate::lint;
use crate::run::{Outcome, judge, poison};
use crate::translate::title;
use omma::graph::{decode, encode};
use omma::kernels::{Io, Launch, TensorType};
use omma::reference::Array;
use omma::wgsl::{self, Reflection};
use omma::{Caps, Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What the adapter of the other runner has beyond the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extras {
    /// f16 in shaders.
    pub f16: bool,
    /// Smallest and largest subgroup.
    pub subgroup: Option<(u32, u32)>,
}

/// A distinct shader with its override values.
#[derive(Debug, Serialize, Deserialize)]
struct Shader {
    title: String,
    file: String,
    overrides: BTreeMap<String, f64>,
    /// Features of WebGPU that the text enables.
    features: Vec<String>,
}

/// A buffer of a job: bytes of its blob.
#[derive(Debug, Serialize, Deserialize)]
struct Operand {
    name: String,
    offset: u64,
    bytes: u64,
    /// Read back after the run, in the order of the operands.
    output: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Bind {
    group: u32,
    binding: u32,
    /// Index of an operand; none is the uniform with the params.
    operand: Option<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Dispatch {
    shader: usize,
    params: Vec<u32>,
    grid: [u32; 3],
    bindings: Vec<Bind>,
}

/// A case on one kind of device.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    name: String,
    blob: String,
    operands: Vec<Operand>,
    dispatches: Vec<Dispatch>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    shaders: Vec<Shader>,
    jobs: Vec<Job>,
}

/// What the runner says of a shader or job: nothing, or why it could not be used.
#[derive(Debug, Deserialize)]
struct Said {
    /// By shader.
    shaders: Vec<Option<String>>,
    /// By job: why it did not run. Its outputs lie beside its blob, with the ending `out`.
    jobs: Vec<Option<String>>,
}

type Key = (Vec<&'static str>, String);

fn key(launch: &Launch) -> Key {
    (launch.files.clone(), format!("{:?}", launch.overrides))
}

fn bytes_of(case: &Case) -> u64 {
    case.inputs.iter().map(|i| i.ty.bytes()).sum()
}

fn types(case: &Case) -> Result<(Vec<TensorType>, Vec<TensorType>)> {
    let inputs: Vec<TensorType> = case.inputs.iter().map(|i| i.ty.clone()).collect();
    let outputs = case.kernel.infer(&inputs)?;
    Ok((inputs, outputs))
}

/// For each distinct variant that such a device is given: the smallest case that launches it.
fn smallest(filter: &str, extras: Extras) -> Vec<(Case, Vec<Launch>)> {
    let floor = Caps::floor();
    let full = Caps { f16: extras.f16, subgroup: extras.subgroup, ..floor.clone() };
    let devices = [floor, full].map(|caps| [Caps { software: true, ..caps.clone() }, caps]).concat();
    let mut all: Vec<(Case, Vec<Launch>)> = Vec::new();
    for caps in &devices {
        for case in CASES.iter().filter(|(name, _)| name.contains(filter)).flat_map(|(_, cases)| cases()) {
            let Ok((inputs, outputs)) = types(&case) else { continue };
            let launches = case.kernel.launch(&Io { inputs: &inputs, outputs: &outputs }, caps).unwrap_or_default();
            let whole = launches.iter().all(|l| l.chunk.is_none());
            if whole && !case.bench_only && !launches.is_empty() {
                all.push((case, launches));
            }
        }
    }
    all.sort_by_key(|(case, _)| bytes_of(case));
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|(_, launches)| launches.iter().map(|l| seen.insert(key(l))).fold(false, |a, b| a | b));
    all
}

/// Writes every variant that cases launch, and a job for each that a device with these extras is given; none: no jobs.
/// Returns how many shaders and jobs there are.
///
/// Errors: a shader does not link or validate, or a file cannot be written.
pub fn export(filter: &str, extras: Option<Extras>, folder: &Path) -> Result<(usize, usize)> {
    let chosen = extras.map_or_else(Vec::new, |extras| smallest(filter, extras));
    let mut launches = lint::launches(filter);
    let mut index: BTreeMap<Key, usize> = launches.iter().enumerate().map(|(i, l)| (key(l), i)).collect();
    for launch in chosen.iter().flat_map(|(_, launches)| launches) {
        index.entry(key(launch)).or_insert_with(|| {
            launches.push(launch.clone());
            launches.len() - 1
        });
    }
    for below in ["shaders", "jobs"] {
        let path = folder.join(below);
        std::fs::create_dir_all(&path).map_err(|e| Error::io(path.to_string_lossy(), &e))?;
    }
    let shaders: Vec<(Shader, Reflection)> =
        launches.par_iter().enumerate().map(|(i, l)| shader(l, i, folder)).collect::<Result<_>>()?;
    let job = |(i, (case, launches)): (usize, &(Case, Vec<Launch>))| {
        let dispatch = |launch: &Launch| {
            let shader = index[&key(launch)];
            dispatch(case, launch, shader, &shaders[shader].1)
        };
        let dispatches = launches.iter().map(dispatch).collect::<Result<_>>()?;
        let blob = format!("jobs/{i:04}.bin");
        let (operands, bytes) = operands(case)?;
        write(&folder.join(&blob), &bytes)?;
        let name = format!("{}/{}", case.kernel.name(), case.name);
        Ok(Job { name, blob, operands, dispatches })
    };
    let jobs = chosen.par_iter().enumerate().map(job).collect::<Result<Vec<Job>>>()?;
    let manifest = Manifest { format: 1, shaders: shaders.into_iter().map(|(s, _)| s).collect(), jobs };
    let text = serde_json::to_vec(&manifest).map_err(|e| Error::malformed("manifest", e.to_string()))?;
    write(&folder.join("manifest.json"), &text)?;
    Ok((manifest.shaders.len(), manifest.jobs.len()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| Error::io(path.to_string_lossy(), &e))
}

fn shader(launch: &Launch, index: usize, folder: &Path) -> Result<(Shader, Reflection)> {
    let linked = wgsl::link(&launch.files)?;
    let reflection = wgsl::reflect(&linked, &launch.overrides)?;
    let needs = wgsl::needs(&linked)?;
    let file = format!("shaders/{index:04}.wgsl");
    write(&folder.join(&file), wgsl::for_browsers(&linked)?.as_bytes())?;
    let features = [(needs.f16, "shader-f16"), (needs.subgroup, "subgroups")];
    let shader = Shader {
        title: title(launch),
        file,
        overrides: launch.overrides.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        features: features.iter().filter(|(needed, _)| *needed).map(|(_, f)| (*f).to_owned()).collect(),
    };
    Ok((shader, reflection))
}

/// Names of the operands: the inputs that are not updated in place, then the outputs.
fn ports(case: &Case) -> (Vec<(usize, &'static str)>, Vec<&'static str>) {
    let updates = case.kernel.updates();
    let inputs = case.kernel.inputs().into_iter().enumerate();
    let kept = inputs.filter(|(i, _)| !updates.iter().any(|(_, input)| input == i)).collect();
    (kept, case.kernel.outputs())
}

fn dispatch(case: &Case, launch: &Launch, shader: usize, reflection: &Reflection) -> Result<Dispatch> {
    let (inputs, outputs) = ports(case);
    let names: Vec<&str> = inputs.iter().map(|(_, name)| *name).chain(outputs).collect();
    let bind = |b: &wgsl::Binding| {
        let operand = names.iter().position(|n| *n == b.name);
        if operand.is_none() && b.access != wgsl::Access::Uniform {
            return Err(Error::graph(case.kernel.name(), format!("nothing is bound to `{}`", b.name)));
        }
        Ok(Bind { group: b.group, binding: b.binding, operand })
    };
    let params = launch.params.iter().map(|(_, word)| *word).collect();
    Ok(Dispatch {
        shader,
        params,
        grid: launch.grid,
        bindings: reflection.bindings.iter().map(bind).collect::<Result<_>>()?,
    })
}

/// The buffers of a case, one after the other; outputs hold NaN, or what they update.
fn operands(case: &Case) -> Result<(Vec<Operand>, Vec<u8>)> {
    let (caps, arrays) = (Caps::floor(), case.arrays());
    let contents = |i: usize| match case.inputs[i].packed_bytes(case.seed(i)) {
        Some(bytes) => Ok(bytes),
        None => Ok::<_, Error>(encode(&case.inputs[i].ty, &arrays[i], &caps)?.concat()),
    };
    let (inputs, outputs) = ports(case);
    let (_, output_types) = types(case)?;
    let (mut list, mut blob) = (Vec::new(), Vec::new());
    let mut put = |name: &str, mut bytes: Vec<u8>, output: bool| {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        list.push(Operand { name: name.into(), offset: blob.len() as u64, bytes: bytes.len() as u64, output });
        blob.extend(bytes);
    };
    for (i, name) in inputs {
        put(name, contents(i)?, false);
    }
    for (o, name) in outputs.into_iter().enumerate() {
        let updated = case.kernel.updates().into_iter().find(|(output, _)| *output == o);
        let bytes = match updated {
            Some((_, input)) => contents(input)?,
            None => poison(output_types[o].bytes()),
        };
        put(name, bytes, true);
    }
    Ok((list, blob))
}

/// Shaders and jobs of a runner by what became of them, and a line for each that did not pass.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Shaders that were compiled, refused, and not tried for want of a feature.
    pub shaders: [usize; 3],
    /// Jobs that passed, failed, and could not run for want of a feature.
    pub jobs: [usize; 3],
    /// What went wrong.
    pub lines: Vec<String>,
}

/// What begins the reason of a runner that lacks a feature.
const UNSUPPORTED: &str = "unsupported: ";

fn kind(reason: Option<&String>) -> usize {
    reason.map_or(0, |r| if r.starts_with(UNSUPPORTED) { 2 } else { 1 })
}

/// Compares what a runner left in an exported folder with the oracles.
///
/// Errors: files of the folder are missing or malformed, or cases are not those that were exported.
pub fn verdict(folder: &Path) -> Result<Verdict> {
    let manifest: Manifest = read(&folder.join("manifest.json"))?;
    let said: Said = read(&folder.join("said.json"))?;
    if (said.shaders.len(), said.jobs.len()) != (manifest.shaders.len(), manifest.jobs.len()) {
        return Err(Error::malformed("said.json", "it is not of this manifest"));
    }
    let mut verdict = Verdict::default();
    for (shader, reason) in manifest.shaders.iter().zip(&said.shaders) {
        verdict.shaders[kind(reason.as_ref())] += 1;
        if let Some(reason) = reason {
            verdict.lines.push(format!("{} ({}): {reason}", shader.title, shader.file));
        }
    }
    let all: BTreeMap<String, Case> = CASES
        .iter()
        .flat_map(|(_, cases)| cases())
        .map(|case| (format!("{}/{}", case.kernel.name(), case.name), case))
        .collect();
    let judged = manifest.jobs.par_iter().zip(&said.jobs).map(|(job, reason)| match reason {
        Some(reason) => Ok(Some(reason.clone())),
        None => {
            let case = all.get(&job.name).ok_or_else(|| Error::argument("job", format!("no case {}", job.name)))?;
            compare(case, job, folder)
        }
    });
    for (job, reason) in manifest.jobs.iter().zip(judged.collect::<Result<Vec<_>>>()?) {
        verdict.jobs[kind(reason.as_ref())] += 1;
        if let Some(reason) = reason {
            let shaders: Vec<usize> = job.dispatches.iter().map(|d| d.shader).collect();
            verdict.lines.push(format!("{} ({}, shaders {shaders:?}): {reason}", job.name, job.blob));
        }
    }
    Ok(verdict)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let name = path.to_string_lossy();
    let bytes = std::fs::read(path).map_err(|e| Error::io(&*name, &e))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::malformed(&*name, e.to_string()))
}

/// Why a job's outputs are wrong, if they are.
fn compare(case: &Case, job: &Job, folder: &Path) -> Result<Option<String>> {
    let path = folder.join(&job.blob).with_extension("out");
    let bytes = std::fs::read(&path).map_err(|e| Error::io(path.to_string_lossy(), &e))?;
    let (_, types) = types(case)?;
    let (mut at, mut got) = (0, Vec::<Array>::new());
    for (operand, ty) in job.operands.iter().filter(|o| o.output).zip(&types) {
        let end = at + operand.bytes as usize;
        let piece = bytes.get(at..end).ok_or_else(|| Error::malformed(path.to_string_lossy(), "it ends early"))?;
        got.push(decode(ty, &[piece.to_vec()], &Caps::floor())?);
        at = end;
    }
    Ok(match judge(case, &case.arrays(), &got) {
        Outcome::Fail(reason) | Outcome::Unsupported(reason) => Some(reason),
        Outcome::Pass(_) => None,
    })
}

impl Verdict {
    /// Whether nothing failed and something passed; a folder without jobs has shaders only.
    pub fn good(&self) -> bool {
        let some = |counts: [usize; 3]| counts[0] > 0;
        let failed = self.shaders[1] + self.jobs[1];
        failed == 0 && some(self.shaders) && (some(self.jobs) || self.jobs == [0; 3])
    }
    /// The closing lines.
    pub fn summary(&self) -> String {
        let ([compiled, refused, out], [passed, failed, not]) = (self.shaders, self.jobs);
        format!(
            "shaders: {compiled} compiled, {refused} refused, {out} unsupported\n\
             jobs: {passed} passed, {failed} failed, {not} unsupported"
        )
    }
}
