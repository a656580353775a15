//! Reading packs: `<family>/<group>/index.json` with `data.safetensors`. The expected values of a case are kept apart
//! from what a mapping sees.

use super::dtype::Logical;
use super::tensor::{Gen, Packing, Tensor, elements, generate, unpack};
use super::{PackError, PackResult};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What a mapping knows of a case.
#[derive(Debug, Clone, Default)]
pub struct OpCase {
    /// Unique name.
    pub id: String,
    /// The pack's family: onnx, ort, gguf, quant.
    pub family: String,
    /// Operator.
    pub op: String,
    /// Operator set, e.g. "ai.onnx" or "com.microsoft".
    pub domain: String,
    /// Version of the operator set (0 where there is none).
    pub opset: i64,
    /// Version of the operator set that last changed the operator.
    pub since_version: i64,
    /// core or extra.
    pub tier: String,
    /// Traits, e.g. "denormal".
    pub tags: Vec<String>,
    /// Every attribute; null = not given and without a default.
    pub attrs: Map<String, Value>,
    /// Why the case is disputed; empty if it is not.
    pub contested: Vec<String>,
    /// Operands by position; `None` where an optional one is not given.
    pub inputs: Vec<Option<Tensor>>,
    /// Which outputs the case compares.
    pub wanted: Vec<bool>,
}

/// The expected values of one output.
#[derive(Debug, Clone)]
pub struct Expect {
    /// Output name.
    pub name: String,
    /// Logical type.
    pub dtype: Logical,
    /// Shape.
    pub shape: Vec<usize>,
    /// All values, or those of the sample.
    pub values: Tensor,
    /// Flat positions of `values`; `None` = all in order.
    pub sample: Option<Vec<usize>>,
    /// Elements of a run, sums of the runs, absolute tolerance of a sum.
    pub sums: Option<(usize, Vec<f64>, f64)>,
    /// Absolute tolerance.
    pub abs: f64,
    /// Relative tolerance.
    pub rel: f64,
}

/// An index with its data.
#[derive(Debug)]
pub struct Pack {
    /// onnx, ort, gguf or quant.
    pub family: String,
    /// Group within the family.
    pub group: String,
    /// The cases, not yet decoded.
    pub cases: Vec<RawCase>,
    data: Vec<u8>,
    path: PathBuf,
}

#[derive(Deserialize)]
struct RawIndex {
    format: u32,
    family: String,
    group: String,
    cases: Vec<RawCase>,
}

/// A case as the index has it.
#[derive(Debug, Clone, Deserialize)]
pub struct RawCase {
    /// Unique name.
    pub id: String,
    /// Operator.
    pub op: String,
    domain: String,
    opset: Option<i64>,
    since_version: Option<i64>,
    /// core or extra.
    pub tier: String,
    #[serde(default)]
    tags: Vec<String>,
    attrs: Map<String, Value>,
    #[serde(default)]
    contested: Vec<String>,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
}

impl RawCase {
    /// Whether the expected values are disputed.
    pub fn contested(&self) -> bool {
        !self.contested.is_empty()
    }
}

#[derive(Deserialize)]
struct RawInput {
    dtype: String,
    shape: Vec<usize>,
    src: String,
    key: Option<String>,
    stored: Option<String>,
    packing: Option<String>,
    #[serde(rename = "gen")]
    made: Option<RawGen>,
    first: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct RawGen {
    algo: String,
    seed: u64,
    #[serde(default = "one")]
    scale: f64,
    #[serde(default)]
    offset: f64,
}

fn one() -> f64 {
    1.0
}

#[derive(Deserialize)]
struct RawOutput {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    src: String,
    key: String,
    stored: String,
    packing: Option<String>,
    index_key: Option<String>,
    block_sum: Option<RawSums>,
    tol: RawTolerance,
}

#[derive(Deserialize)]
struct RawSums {
    block: usize,
    key: String,
    tol_abs: f64,
}

#[derive(Deserialize)]
struct RawTolerance {
    abs: f64,
    rel: f64,
}

impl Pack {
    /// Reads `index.json` and `data.safetensors` of a folder.
    ///
    /// Errors: [`PackError`] naming the file and what is wrong with it.
    pub fn read(dir: &Path) -> PackResult<Self> {
        let path = dir.join("index.json");
        let at = path.display().to_string();
        let text = std::fs::read(&path).map_err(|e| PackError::new(&at, e.to_string()))?;
        let index: RawIndex = serde_json::from_slice(&text).map_err(|e| PackError::new(&at, e.to_string()))?;
        if index.format != 1 {
            return Err(PackError::new(
                &at,
                format!("format {} is not known; this program reads format 1", index.format),
            ));
        }
        let path = dir.join("data.safetensors");
        let data = std::fs::read(&path).map_err(|e| PackError::new(path.display().to_string(), e.to_string()))?;
        let pack = Self { family: index.family, group: index.group, cases: index.cases, data, path };
        pack.tensors()?;
        Ok(pack)
    }
    /// The tensors of the data file.
    pub fn tensors(&self) -> PackResult<SafeTensors<'_>> {
        let at = || self.path.display().to_string();
        SafeTensors::deserialize(&self.data).map_err(|e| PackError::new(at(), e.to_string()))
    }
}

/// Decodes a case: what its mapping sees, and the expected values by output.
///
/// Errors: [`PackError`] naming the operand.
pub fn decode(family: &str, raw: &RawCase, data: &SafeTensors<'_>) -> PackResult<(OpCase, Vec<Option<Expect>>)> {
    let mut inputs = Vec::new();
    for (i, value) in raw.inputs.iter().enumerate() {
        inputs.push(input(value, data).map_err(|e| e.within(format!("input {i}")))?);
    }
    let mut expects = Vec::new();
    for (i, value) in raw.outputs.iter().enumerate() {
        expects.push(expect(value, data).map_err(|e| e.within(format!("output {i}")))?);
    }
    let case = OpCase {
        id: raw.id.clone(),
        family: family.to_owned(),
        op: raw.op.clone(),
        domain: raw.domain.clone(),
        opset: raw.opset.unwrap_or(0),
        since_version: raw.since_version.unwrap_or(0),
        tier: raw.tier.clone(),
        tags: raw.tags.clone(),
        attrs: raw.attrs.clone(),
        contested: raw.contested.clone(),
        inputs,
        wanted: expects.iter().map(Option::is_some).collect(),
    };
    Ok((case, expects))
}

fn absent(value: &Value) -> bool {
    value.get("src").and_then(Value::as_str) == Some("absent")
}

fn broken(error: serde_json::Error) -> PackError {
    PackError::new("entry", error.to_string())
}

fn input(value: &Value, data: &SafeTensors<'_>) -> PackResult<Option<Tensor>> {
    if absent(value) {
        return Ok(None);
    }
    let raw = RawInput::deserialize(value).map_err(broken)?;
    let dtype = Logical::parse(&raw.dtype)?;
    let missing = |what: &str| PackError::new("entry", format!("src {} without `{what}`", raw.src));
    let shape = &raw.shape;
    let tensor = match raw.src.as_str() {
        "tensor" => {
            let key = raw.key.as_deref().ok_or_else(|| missing("key"))?;
            let stored = raw.stored.as_deref().ok_or_else(|| missing("stored"))?;
            let tensor = stored_tensor(dtype, (key, stored, raw.packing.as_deref()), &raw.shape, data)?;
            if tensor.dtype != dtype {
                return Err(PackError::new(key, format!("stored as {stored}, said to be {}", raw.dtype)));
            }
            tensor
        }
        "gen" => {
            let raw = raw.made.as_ref().ok_or_else(|| missing("gen"))?;
            let made = Gen { algo: raw.algo.clone(), seed: raw.seed, scale: raw.scale, offset: raw.offset };
            generate(dtype, shape, &made)?
        }
        other => return Err(PackError::new("entry", format!("src `{other}` is not one of absent, tensor, gen"))),
    };
    check_first(&tensor, raw.first.as_deref().unwrap_or_default())?;
    Ok(Some(tensor))
}

/// A generator that gives other numbers than the pack was made with must not go unnoticed.
fn check_first(tensor: &Tensor, first: &[Value]) -> PackResult<()> {
    for (i, (want, bits)) in first.iter().zip(&tensor.bits).enumerate() {
        let got = tensor.dtype.value(*bits) as f32;
        let want = number(want).unwrap_or(f64::NAN) as f32;
        if got != want && !(got.is_nan() && want.is_nan()) {
            return Err(PackError::new("generator", format!("element {i} is {got}, the index says {want}")));
        }
    }
    Ok(())
}

/// A JSON number, or one of the strings that stand for the others.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => match text.as_str() {
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            "nan" => Some(f64::NAN),
            _ => None,
        },
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        other => other.as_f64(),
    }
}

fn expect(value: &Value, data: &SafeTensors<'_>) -> PackResult<Option<Expect>> {
    if absent(value) {
        return Ok(None);
    }
    let raw = RawOutput::deserialize(value).map_err(broken)?;
    let dtype = Logical::parse(&raw.dtype)?;
    let count = elements(&raw.shape)?;
    let plain = |key: &str, shape: &[usize], stored: &str| stored_tensor(dtype, (key, stored, None), shape, data);
    let (values, sample) = match (raw.src.as_str(), raw.index_key.as_deref()) {
        ("tensor", _) => {
            let from = (raw.key.as_str(), raw.stored.as_str(), raw.packing.as_deref());
            (stored_tensor(dtype, from, &raw.shape, data)?, None)
        }
        ("sample", Some(key)) => {
            let at: Vec<usize> = flat(key, data)?.iter().map(|v| *v as usize).collect();
            if let Some(beyond) = at.iter().find(|i| **i >= count) {
                return Err(PackError::new(key, format!("position {beyond} of {count} elements")));
            }
            (plain(&raw.key, &[at.len()], &raw.stored)?, Some(at))
        }
        (other, _) => {
            return Err(PackError::new("entry", format!("src `{other}` is not tensor, or sample with index_key")));
        }
    };
    let sums = match &raw.block_sum {
        Some(sum) if sum.block > 0 => {
            let values = flat(&sum.key, data)?;
            if values.len() != count.div_ceil(sum.block) {
                let reason = format!("{} sums of {} for {count} elements", values.len(), sum.block);
                return Err(PackError::new(&sum.key, reason));
            }
            Some((sum.block, values, sum.tol_abs))
        }
        Some(sum) => return Err(PackError::new(&sum.key, "a block of 0 elements")),
        None => None,
    };
    let (abs, rel) = (raw.tol.abs, raw.tol.rel);
    Ok(Some(Expect { name: raw.name, dtype, shape: raw.shape, values, sample, sums, abs, rel }))
}

/// A tensor `(key, stored, packing)` of the data file; it has the stored type unless it is packed.
fn stored_tensor(
    dtype: Logical,
    (key, stored, packing): (&str, &str, Option<&str>),
    shape: &[usize],
    data: &SafeTensors<'_>,
) -> PackResult<Tensor> {
    let view = data.tensor(key).map_err(|e| PackError::new(key, e.to_string()))?;
    let found = file_type(key, view.dtype())?;
    let packing = Packing::parse(packing)?;
    if found.name() != stored.to_lowercase() {
        return Err(PackError::new(key, format!("is {} in the file, the index says {stored}", found.name())));
    }
    if packing != Packing::Plain && found != Logical::U8 {
        return Err(PackError::new(key, format!("packed elements are kept in u8, not {}", found.name())));
    }
    unpack(dtype, found, packing, shape, view.data()).map_err(|e| e.within(key))
}

/// All values of a tensor, whatever its shape.
fn flat(key: &str, data: &SafeTensors<'_>) -> PackResult<Vec<f64>> {
    let view = data.tensor(key).map_err(|e| PackError::new(key, e.to_string()))?;
    let dtype = file_type(key, view.dtype())?;
    let tensor = unpack(dtype, dtype, Packing::Plain, view.shape(), view.data()).map_err(|e| e.within(key))?;
    Ok(tensor.values())
}

fn file_type(key: &str, dtype: Dtype) -> PackResult<Logical> {
    Ok(match dtype {
        Dtype::F64 => Logical::F64,
        Dtype::F32 => Logical::F32,
        Dtype::F16 => Logical::F16,
        Dtype::BF16 => Logical::BF16,
        Dtype::I64 => Logical::I64,
        Dtype::I32 => Logical::I32,
        Dtype::I16 => Logical::I16,
        Dtype::I8 => Logical::I8,
        Dtype::U64 => Logical::U64,
        Dtype::U32 => Logical::U32,
        Dtype::U16 => Logical::U16,
        Dtype::U8 => Logical::U8,
        Dtype::BOOL => Logical::Bool,
        other => return Err(PackError::new(key, format!("{other:?} is not a stored type of the format"))),
    })
}
