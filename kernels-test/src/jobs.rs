//! Cases as files, for a runner in another language on another WebGPU: shaders, operands and dispatches. What starts the
//! runner and compares the outputs that it leaves is `drive`; what runs them on Dawn is `kernels-test/dawn/run.mjs`.

use crate::case::Case;
use crate::cases::CASES;
use crate::lint;
use crate::run::poison;
use crate::translate::title;
use omma::graph::encode;
use omma::kernels::{Io, Launch, TensorType};
use omma::wgsl::{self, Reflection};
use omma::{Caps, Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
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
pub(crate) struct Shader {
    pub(crate) title: String,
    pub(crate) file: String,
    /// Of the text and the overrides.
    pub(crate) digest: String,
    overrides: BTreeMap<String, f64>,
    /// Features of WebGPU that the text enables.
    features: Vec<String>,
}

/// A buffer of a job: bytes of its blob.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Operand {
    name: String,
    offset: u64,
    pub(crate) bytes: u64,
    /// Read back after the run, in the order of the operands.
    pub(crate) output: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Bind {
    group: u32,
    binding: u32,
    /// Index of an operand; none is the uniform with the params.
    operand: Option<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Dispatch {
    shader: usize,
    params: Vec<u32>,
    grid: [u32; 3],
    bindings: Vec<Bind>,
}

/// A case on one kind of device.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) blob: String,
    /// Of the shaders, the dispatches and the bytes.
    pub(crate) digest: String,
    pub(crate) operands: Vec<Operand>,
    dispatches: Vec<Dispatch>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    pub(crate) shaders: Vec<Shader>,
    /// Kernel by kernel; the outputs of a job lie beside its blob, with the ending `out`.
    pub(crate) jobs: Vec<Job>,
}

type Key = (Vec<&'static str>, String);

fn key(launch: &Launch) -> Key {
    (launch.files.clone(), format!("{:?}", launch.overrides))
}

fn bytes_of(case: &Case) -> u64 {
    case.inputs.iter().map(|i| i.ty.bytes()).sum()
}

/// Types of a case's inputs and outputs.
pub(crate) fn types(case: &Case) -> Result<(Vec<TensorType>, Vec<TensorType>)> {
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
    let mut seen = BTreeSet::new();
    all.retain(|(_, launches)| launches.iter().map(|l| seen.insert(key(l))).fold(false, |a, b| a | b));
    all.sort_by_key(|(case, _)| case.kernel.name());
    all
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Every variant that cases launch, and no job.
    Shaders,
    /// A job for each variant that a device with these extras is given, and their shaders.
    Jobs(Extras),
    /// The same for the first device, without the variants that the second is given.
    Beyond(Extras, Extras),
}

impl Wanted {
    fn chosen(self, filter: &str) -> (Vec<(Case, Vec<Launch>)>, Vec<Launch>) {
        let (extras, without) = match self {
            Wanted::Shaders => return (Vec::new(), lint::launches(filter)),
            Wanted::Jobs(extras) => return (smallest(filter, extras), Vec::new()),
            Wanted::Beyond(extras, without) => (extras, without),
        };
        let given = smallest(filter, without);
        let given: BTreeSet<Key> = given.iter().flat_map(|(_, launches)| launches.iter().map(key)).collect();
        let mut chosen = smallest(filter, extras);
        chosen.retain(|(_, launches)| launches.iter().any(|l| !given.contains(&key(l))));
        (chosen, Vec::new())
    }
}

/// Writes shaders and jobs, and returns how many there are.
///
/// Errors: a shader does not link or validate, or a file cannot be written.
pub fn export(filter: &str, wanted: Wanted, folder: &Path) -> Result<(usize, usize)> {
    let (chosen, mut launches) = wanted.chosen(filter);
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
        let dispatches = launches.iter().map(dispatch).collect::<Result<Vec<_>>>()?;
        let blob = format!("jobs/{i:04}.bin");
        let (operands, bytes) = operands(case)?;
        write(&folder.join(&blob), &bytes)?;
        let name = format!("{}/{}", case.kernel.name(), case.name);
        let texts: Vec<&str> = launches.iter().map(|l| &*shaders[index[&key(l)]].0.digest).collect();
        let digest = digest((texts, format!("{dispatches:?}"), &bytes));
        Ok(Job { name, blob, digest, operands, dispatches })
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
    let text = wgsl::for_browsers(&linked)?;
    write(&folder.join(&file), text.as_bytes())?;
    let features = [(needs.f16, "shader-f16"), (needs.subgroup, "subgroups")];
    let shader = Shader {
        title: title(launch),
        file,
        digest: digest((text, format!("{:?}", launch.overrides))),
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

/// A file of an exported folder.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let name = path.to_string_lossy();
    let bytes = std::fs::read(path).map_err(|e| Error::io(&*name, &e))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::malformed(&*name, e.to_string()))
}

/// A number by which the same contents are known again, by the same build of the harness.
fn digest(contents: impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    contents.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
