//! `omma quantize`: a checkpoint written again with its matrices in a packed layout.

use super::model::weight_list;
use super::planned::planned_spec;
use super::quantizer::{Quantizer, rows_at_once};
use super::sources::Source;
use super::stack::Stack;
use crate::blocks::Part;
use crate::checkpoint::write::{FileWriter, Metadata, TensorHead};
use crate::checkpoint::{Checkpoint, Config, Files, TensorEntry, packed_note};
use crate::gpu::Device;
use crate::kernels::{Layout, TensorType};
use crate::models::Spec;
use crate::quant::{Encoding, Packing};
use crate::reference::unpack;
use crate::{DType, Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Bytes that are copied at a time.
const PIECE: usize = 8 << 20;

/// What became of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenTensor {
    /// Name in the files.
    pub name: String,
    /// Shape, slowest axis first.
    pub shape: Vec<usize>,
    /// Bytes in the new file.
    pub bytes: u64,
    /// Of a quantized one: the root of the sum of squares of what it is off by, over that of its numbers; and the most that
    /// a number is off by.
    pub error: Option<(f64, f64)>,
}

/// Writes the weights of a checkpoint to `path`, a safetensors file, with every matrix of the model that `to` can hold in
/// that format and everything else as it is. Returns config.json for it. `report` is told each tensor when it is written.
///
/// # Errors
/// Those of [`planned_spec`] and of reading and writing; [`Error::Unsupported`] where weights are quantized already or `to`
/// is no packed format.
pub async fn quantize_checkpoint(
    device: &Device,
    files: &dyn Files,
    to: Encoding,
    path: &Path,
    mut report: impl FnMut(&WrittenTensor),
) -> Result<Vec<u8>> {
    let Some(packing) = to.packing() else {
        return Err(Error::unsupported(format!("--to {to}"), "matrices are written in packed formats"));
    };
    let (read, spec) = planned_spec(files, Some(to)).await?;
    let checkpoint = Checkpoint::open(files).await?.canonical(spec.scheme)?;
    if let Some(entry) = checkpoint.entries().iter().find(|entry| entry.packed.is_some()) {
        return Err(Error::unsupported(format!("`{}` of {}", entry.stored, files.describe()), "is quantized already"));
    }
    let mut matrices = BTreeMap::new();
    for (name, ty) in weight_list(&spec, DType::F32)? {
        if ty.layout == Layout::Packed(packing) {
            for part in Part::parse(&name)? {
                // Parts in another order than the tensor's stay floats.
                if let Part::Tensor(tensor) | Part::Rows { name: tensor, .. } = part {
                    matrices.insert(tensor.to_owned(), ty.cols());
                }
            }
        }
    }
    let mut job = Job { checkpoint: &checkpoint, packing, matrices, quantizer: Quantizer::new(device, to) };
    let (heads, metadata) = job.heads(to)?;
    let mut file = FileWriter::create(path, &heads, &metadata)?;
    for entry in checkpoint.entries() {
        report(&job.write(entry, &mut file).await?);
    }
    file.finish()?;
    config_for(&read.config, to)
}

/// config.json that says how the weights are kept.
fn config_for(config: &Config, to: Encoding) -> Result<Vec<u8>> {
    let mut value = config.value().clone();
    value["quantization_config"] = serde_json::json!({"quant_method": "omma", "format": 1, "weights": to.name()});
    let text = serde_json::to_string_pretty(&value).map_err(|e| Error::malformed("config.json", e.to_string()))?;
    Ok((text + "\n").into_bytes())
}

/// Matrices of a model that stay floats although its matrices are packed: filters of convolutions, and those that the
/// format cannot hold. Names are those of the loader (parts of a stacked one in one), types `[n, k]`.
///
/// # Errors
/// Those of building the model's graphs.
pub fn unpacked_matrices(spec: &Spec) -> Result<Vec<(String, TensorType)>> {
    let all = weight_list(spec, DType::F32)?;
    Ok(all.into_iter().filter(|(_, ty)| ty.layout == Layout::Panels).collect())
}

struct Job<'j> {
    checkpoint: &'j Checkpoint,
    packing: Packing,
    /// Matrices that are packed, with their columns.
    matrices: BTreeMap<String, usize>,
    quantizer: Quantizer<'j>,
}

impl Job<'_> {
    /// Rows and columns of a tensor that is packed.
    fn matrix(&self, entry: &TensorEntry) -> Option<(usize, usize)> {
        let k = self.matrices.get(&entry.name).copied().filter(|k| *k > 0)?;
        Some((entry.elements() / k, k))
    }

    fn heads(&self, to: Encoding) -> Result<(Vec<TensorHead>, Metadata)> {
        let (mut heads, mut metadata) = (Vec::new(), self.checkpoint.metadata().clone());
        for entry in self.checkpoint.entries() {
            let (dtype, shape) = match self.matrix(entry) {
                None => (entry.dtype, entry.shape.clone()),
                Some((n, k)) => {
                    let (key, value) = packed_note(&entry.stored, to, n, k);
                    metadata.insert(key, value);
                    let bytes = usize::try_from(self.packing.bytes(n, k))
                        .map_err(|_| Error::argument(&entry.stored, "is too large for this machine"))?;
                    (DType::U8, vec![bytes])
                }
            };
            heads.push(TensorHead { name: entry.stored.clone(), dtype, shape });
        }
        Ok((heads, metadata))
    }

    async fn write(&mut self, entry: &TensorEntry, file: &mut FileWriter) -> Result<WrittenTensor> {
        let (name, shape) = (entry.stored.clone(), entry.shape.clone());
        let Some((n, k)) = self.matrix(entry) else {
            let mut at = 0;
            while at < entry.bytes {
                let mut piece = vec![0; PIECE.min((entry.bytes - at) as usize)];
                self.checkpoint.read_into(entry, at, &mut piece).await?;
                file.append(&piece)?;
                at += piece.len() as u64;
            }
            return Ok(WrittenTensor { name, shape, bytes: entry.bytes, error: None });
        };
        let source = [Source::whole(entry, n)];
        let stack = Stack { checkpoint: self.checkpoint, sources: &source };
        // Sections lie one after the other over all rows, so they are gathered before they are written.
        let mut sections: Vec<Vec<u8>> = vec![Vec::new(); self.packing.sections(n, k).len()];
        let mut error = Deviation::default();
        for first in (0..n).step_by(rows_at_once(k)) {
            let rows = rows_at_once(k).min(n - first);
            let values = stack.numbers(first, rows, k).await?;
            self.quantizer.run(&values, rows, k).await?;
            let made = self.quantizer.read(rows, k).await?;
            error.add(&values, &unpack(self.packing, rows, k, &made).data);
            self.take(&made, (first, rows), k, &mut sections);
        }
        for section in &mut sections {
            section.resize(section.len().next_multiple_of(4), 0);
            file.append(section)?;
        }
        let bytes = sections.iter().map(|s| s.len() as u64).sum();
        Ok(WrittenTensor { name, shape, bytes, error: Some(error.of()) })
    }

    /// The sections of some rows, to the end of those of all rows.
    fn take(&self, made: &[u8], (first, rows): (usize, usize), k: usize, sections: &mut [Vec<u8>]) {
        let mut at = 0;
        for (i, (length, section)) in self.packing.sections(rows, k).into_iter().zip(sections).enumerate() {
            let shared = matches!(self.packing, Packing::Table4 { .. }) && i == 2;
            if !(shared && first > 0) {
                section.extend(made.get(at..at + length).unwrap_or_default());
            }
            at += length.next_multiple_of(4);
        }
    }
}

/// Sums of what numbers are off by.
#[derive(Default)]
struct Deviation {
    off: f64,
    size: f64,
    most: f64,
}

impl Deviation {
    fn add(&mut self, values: &[f32], made: &[f64]) {
        for (value, made) in values.iter().zip(made) {
            let (value, off) = (f64::from(*value), (made - f64::from(*value)).abs());
            self.off += off * off;
            self.size += value * value;
            self.most = self.most.max(off);
        }
    }
    fn of(&self) -> (f64, f64) {
        let relative = if self.size > 0.0 { (self.off / self.size).sqrt() } else { 0.0 };
        (relative, self.most)
    }
}
