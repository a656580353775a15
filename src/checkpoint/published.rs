//! Quantized checkpoints as their programs save them: tensors that together are one packed weight become one entry.
//!
//! GPTQ, AWQ ("gemm"), bitsandbytes (nf4, fp4, int8), compressed-tensors (packed integers, 8 bits, floats) and fp8 in
//! tiles, by `quantization_config`. Layouts are those of the original programs' own unpacking.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checkpoint, Config, PackedTensor, Section, TensorEntry, clip};
use crate::quant::{Codes, Packing, ScaleType, Zero};
use crate::{DType, Error, Result};

/// Rows and columns of a tile that is the whole matrix, or all of a row.
const ALL: usize = 1 << 30;

/// Values of `quant_method` that are read.
pub const METHODS: [&str; 6] = ["gptq", "awq", "bitsandbytes", "compressed-tensors", "fp8", "omma"];

/// A weight that was found: its new entry, and the tensors that it takes.
struct Found {
    entry: TensorEntry,
    taken: Vec<String>,
}

impl Checkpoint {
    /// The same checkpoint with the quantized weights that `config` speaks of as single entries `NAME.weight`. Tensors that
    /// are stored as floats stay. Small tables are read here.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for methods and options that are not read; [`Error::Malformed`] for tensors that do not fit
    /// together.
    pub async fn quantized_by(self, config: &Config) -> Result<Self> {
        let Some(own) = config.section("quantization_config")? else { return Ok(self) };
        let fronts = |ending: &str| -> Vec<String> {
            self.names().filter_map(|name| name.strip_suffix(ending)).map(str::to_owned).collect()
        };
        let mut found = Vec::new();
        match own.string("quant_method", "")?.as_str() {
            "gptq" => {
                for front in fronts(".qweight") {
                    found.push(Weight { checkpoint: &self, front }.gptq(&own)?);
                }
            }
            "awq" => {
                for front in fronts(".qweight") {
                    found.push(Weight { checkpoint: &self, front }.awq(&own)?);
                }
            }
            "bitsandbytes" => {
                for front in fronts(".weight.absmax") {
                    found.push(Weight { checkpoint: &self, front }.table4().await?);
                }
                for front in fronts(".SCB") {
                    found.push(Weight { checkpoint: &self, front }.int8()?);
                }
            }
            "compressed-tensors" => {
                let scheme = scheme(&own)?;
                for front in fronts(".weight_scale") {
                    found.push(Weight { checkpoint: &self, front }.compressed(&own, &scheme).await?);
                }
            }
            "fp8" => {
                let tile = tile(&own)?;
                for front in fronts(".weight_scale_inv") {
                    found.push(Weight { checkpoint: &self, front }.floats("weight_scale_inv", tile).await?);
                }
            }
            "omma" => return Ok(self),
            other => return Err(own.unsupported("quant_method", format!("`{other}`; {} are", METHODS.join(", ")))),
        }
        if found.is_empty() {
            let reason = "no tensor here is quantized so; take the entry out of config.json if the weights are floats";
            return Err(own.unsupported("quant_method", reason));
        }
        self.with_found(found)
    }

    fn with_found(mut self, found: Vec<Found>) -> Result<Self> {
        let taken: BTreeSet<&str> = found.iter().flat_map(|f| &f.taken).map(String::as_str).collect();
        self.entries.retain(|entry| !taken.contains(entry.name.as_str()));
        self.entries.extend(found.into_iter().map(|f| f.entry));
        self.sort()?;
        Ok(self)
    }
}

/// What a compressed-tensors configuration says of weights.
struct Scheme {
    format: String,
    bits: u32,
    symmetric: bool,
}

fn scheme(own: &Config) -> Result<Scheme> {
    let groups: BTreeMap<String, serde_json::Value> = own
        .section("config_groups")?
        .map(|g| g.value().as_object().cloned().unwrap_or_default())
        .unwrap_or_default()
        .into_iter()
        .collect();
    let mut weights = groups.values().map(|group| &group["weights"]);
    let first = weights.next().ok_or_else(|| own.broken("config_groups", "is missing or empty"))?;
    if weights.any(|other| other != first) {
        return Err(own.unsupported("config_groups", "groups whose weights are kept alike are"));
    }
    let format = own.string("format", "")?;
    if !matches!(format.as_str(), "pack-quantized" | "int-quantized" | "naive-quantized" | "float-quantized") {
        return Err(
            own.unsupported("format", format!("`{format}`; pack-quantized, int-quantized, float-quantized are"))
        );
    }
    let bits = first["num_bits"].as_u64().unwrap_or(8);
    let symmetric = first["symmetric"].as_bool().unwrap_or(true);
    Ok(Scheme { format, bits: u32::try_from(bits).unwrap_or(0), symmetric })
}

fn tile(own: &Config) -> Result<[usize; 2]> {
    match own.list::<usize>("weight_block_size")?.as_deref() {
        Some([rows, cols]) if *rows > 0 && *cols > 0 => Ok([*rows, *cols]),
        None => Err(own.unsupported("weight_block_size", "weights with factors of tiles are")),
        Some(_) => Err(own.broken("weight_block_size", "is not two extents")),
    }
}

/// The tensors `front.*`.
struct Weight<'c> {
    checkpoint: &'c Checkpoint,
    front: String,
}

impl Weight<'_> {
    fn name(&self, ending: &str) -> String {
        format!("{}.{ending}", self.front)
    }
    fn part(&self, ending: &str) -> Result<&TensorEntry> {
        self.checkpoint.entry(&self.name(ending))
    }
    fn has(&self, ending: &str) -> bool {
        self.checkpoint.contains(&self.name(ending))
    }
    fn broken(&self, reason: impl std::fmt::Display) -> Error {
        Error::malformed(&self.checkpoint.label, format!("quantized weight `{}`: {reason}", clip(&self.front)))
    }
    /// A tensor of this type as it is stored.
    fn stored(&self, ending: &str, dtypes: &[DType]) -> Result<Section> {
        let entry = self.part(ending)?;
        if entry.packed.is_some() || !dtypes.contains(&entry.dtype) {
            let types: Vec<&str> = dtypes.iter().map(|d| d.name()).collect();
            let what = format!("`{}` of type {}", clip(&entry.name), entry.dtype);
            return Err(Error::unsupported(what, format!("{} is", types.join(" or "))));
        }
        Ok(Section::Stored { file: entry.file, offset: entry.offset, bytes: entry.bytes })
    }
    /// A tensor of floats as f32.
    async fn made_f32(&self, ending: &str) -> Result<Section> {
        let values = self.checkpoint.load_f32(&self.name(ending)).await?;
        Ok(Section::Made(values.iter().flat_map(|v| v.to_le_bytes()).collect()))
    }
    fn matrix(&self, ending: &str) -> Result<[usize; 2]> {
        let entry = self.part(ending)?;
        match entry.shape[..] {
            [rows, cols] => Ok([rows, cols]),
            _ => Err(self.broken(format!("{ending} has the shape {:?}", entry.shape))),
        }
    }

    /// The entry, once its sections have the lengths of the layout.
    fn found(&self, packing: Packing, [n, k]: [usize; 2], sections: Vec<Section>, taken: &[&str]) -> Result<Found> {
        if let Some(rule) = packing.refuses(n, k) {
            return Err(self.broken(format!("[{n}, {k}] as {} needs {rule}", packing.name())));
        }
        let wanted: Vec<u64> = packing.sections(n, k).into_iter().map(|b| b as u64).filter(|b| *b > 0).collect();
        let got: Vec<u64> = sections.iter().map(Section::bytes).collect();
        if wanted != got {
            return Err(
                self.broken(format!("[{n}, {k}] as {} takes tensors of {wanted:?} bytes, not {got:?}", packing.name()))
            );
        }
        // The layout may have sections that are empty.
        let mut rest = sections.into_iter();
        let sections = packing.sections(n, k).into_iter().map(|bytes| match bytes {
            0 => Section::Made(Vec::new().into()),
            _ => rest.next().unwrap_or(Section::Made(Vec::new().into())),
        });
        let entry = TensorEntry {
            name: self.name("weight"),
            stored: self.name("weight"),
            dtype: DType::F32,
            shape: vec![n, k],
            file: 0,
            offset: 0,
            bytes: 4 * n as u64 * k as u64,
            packed: Some(PackedTensor { packing, sections: sections.collect() }),
        };
        Ok(Found { entry, taken: taken.iter().map(|ending| self.name(ending)).collect() })
    }

    fn gptq(&self, own: &Config) -> Result<Found> {
        let bits = own.usize("bits", 4)? as u32;
        if !matches!(bits, 2 | 4 | 8) {
            return Err(own.unsupported("bits", "2, 4 and 8 are"));
        }
        let plus = match own.string("checkpoint_format", "gptq")?.as_str() {
            "gptq" => 1,
            "gptq_v2" => 0,
            other => return Err(own.unsupported("checkpoint_format", format!("`{other}`; gptq and gptq_v2 are"))),
        };
        let ordered = own.bool("desc_act", false)?;
        let [words, n] = self.matrix("qweight")?;
        let k = words * (32 / bits as usize);
        let packing = Packing::Gptq { bits, block: group(own, k)?, plus, ordered };
        let words = [DType::I32, DType::U32];
        let mut sections = vec![
            self.stored("qweight", &words)?,
            self.stored("qzeros", &words)?,
            self.stored("scales", &[DType::F16])?,
        ];
        if ordered {
            sections.push(self.stored("g_idx", &words)?);
        }
        self.found(packing, [n, k], sections, &["qweight", "qzeros", "scales", "g_idx"])
    }

    fn awq(&self, own: &Config) -> Result<Found> {
        if own.usize("bits", own.usize("w_bit", 4)?)? != 4 {
            return Err(own.unsupported("bits", "4 are"));
        }
        if !own.string("version", "gemm")?.eq_ignore_ascii_case("gemm") {
            return Err(own.unsupported("version", "gemm is"));
        }
        if !own.bool("zero_point", true)? {
            return Err(own.unsupported("zero_point", "weights with zero points are"));
        }
        let [k, words] = self.matrix("qweight")?;
        let packing = Packing::Awq { block: group(own, k)? };
        let types = [DType::I32, DType::U32];
        let sections = vec![
            self.stored("qweight", &types)?,
            self.stored("qzeros", &types)?,
            self.stored("scales", &[DType::F16])?,
        ];
        self.found(packing, [words * 8, k], sections, &["qweight", "qzeros", "scales"])
    }

    /// NF4 and FP4 of bitsandbytes; the rest of their state is JSON in a tensor.
    async fn table4(&self) -> Result<Found> {
        let kinds = ["weight.quant_state.bitsandbytes__nf4", "weight.quant_state.bitsandbytes__fp4"];
        let kind = kinds.into_iter().find(|kind| self.has(kind)).ok_or_else(|| self.broken("has no quant_state"))?;
        let entry = self.part(kind)?;
        if entry.dtype != DType::U8 || entry.bytes > 1 << 16 {
            return Err(self.broken(format!("{kind} is no text")));
        }
        let mut text = vec![0; entry.bytes as usize];
        self.checkpoint.read_into(entry, 0, &mut text).await?;
        let state = Config::parse(&entry.name, &text)?;
        let shape: Vec<usize> = state.list("shape")?.unwrap_or_default();
        let [n, k] = shape[..] else { return Err(state.broken("shape", "is not that of a matrix")) };
        let floats = [DType::F32];
        let nested = self.has("weight.nested_absmax");
        let magnitudes = if nested { DType::U8 } else { DType::F32 };
        let mut sections = vec![
            self.stored("weight", &[DType::U8])?,
            self.stored("weight.absmax", &[magnitudes])?,
            self.stored("weight.quant_map", &floats)?,
        ];
        let mut taken = vec!["weight", "weight.absmax", "weight.quant_map", kind];
        let mut packing = Packing::Table4 { block: state.usize("blocksize", 64)?, nested: 0 };
        if nested {
            let offset = state.f64("nested_offset", 0.0)? as f32;
            sections.push(self.stored("weight.nested_absmax", &floats)?);
            sections.push(self.stored("weight.nested_quant_map", &floats)?);
            sections.push(Section::Made(offset.to_le_bytes().to_vec().into()));
            taken.extend(["weight.nested_absmax", "weight.nested_quant_map"]);
            packing = Packing::Table4 {
                block: state.usize("blocksize", 64)?,
                nested: state.usize("nested_blocksize", 256)?.max(1),
            };
        }
        self.found(packing, [n, k], sections, &taken)
    }

    fn int8(&self) -> Result<Found> {
        let sections = vec![self.stored("weight", &[DType::I8])?, self.stored("SCB", &[DType::F32])?];
        let packing = Packing::Bytes { e4m3: false, tile: [1, ALL] };
        self.found(packing, self.matrix("weight")?, sections, &["weight", "SCB", "weight_format"])
    }

    async fn compressed(&self, own: &Config, scheme: &Scheme) -> Result<Found> {
        if scheme.format == "float-quantized"
            || (scheme.format == "naive-quantized" && self.part("weight")?.packed.is_some())
        {
            let scale = self.part("weight_scale")?.elements();
            let [n, _] = self.matrix("weight")?;
            let tile = if scale == 1 { [ALL, ALL] } else { [1, ALL] };
            if scale != 1 && scale != n {
                return Err(
                    own.unsupported("config_groups", format!("{scale} factors for {n} rows; one or one a row are"))
                );
            }
            return self.floats("weight_scale", tile).await;
        }
        let packed = scheme.format == "pack-quantized";
        let codes = if packed { "weight_packed" } else { "weight" };
        let [n, mut k] = self.matrix(codes)?;
        if packed {
            k = match self.has("weight_shape") {
                true => self.checkpoint.load_i64(&self.name("weight_shape")).await?.get(1).map_or(0, |k| *k as usize),
                false => k * 32 / scheme.bits.max(1) as usize,
            };
        }
        let scales = self.part("weight_scale")?;
        let scale = match scales.dtype {
            DType::F16 => ScaleType::F16,
            DType::BF16 => ScaleType::BF16,
            _ => ScaleType::F32,
        };
        let groups = (scales.elements() / n.max(1)).max(1);
        let zero = match (packed, scheme.symmetric) {
            // Packed codes and zero points are stored with half of their range added.
            (true, true) => Zero::Fixed(1 << scheme.bits.saturating_sub(1).min(7)),
            (true, false) => Zero::Down,
            (false, true) => Zero::Fixed(0),
            (false, false) => Zero::Packed { align: 8 },
        };
        let ordered = self.has("weight_g_idx");
        let (bits, align) = if packed { (scheme.bits, 32) } else { (8, 8) };
        let codes_of = Codes { bits, signed: !packed, block: k.div_ceil(groups), align, scale, zero, ordered };
        let mut sections = vec![
            self.stored(codes, if packed { &[DType::I32, DType::U32] } else { &[DType::I8] })?,
            self.stored("weight_scale", &[DType::F16, DType::BF16, DType::F32])?,
        ];
        if !scheme.symmetric {
            sections
                .push(self.stored("weight_zero_point", if packed { &[DType::I32, DType::U32] } else { &[DType::I8] })?);
        }
        if ordered {
            sections.push(self.stored("weight_g_idx", &[DType::I32, DType::U32])?);
        }
        let taken = [codes, "weight_scale", "weight_zero_point", "weight_g_idx", "weight_shape"];
        self.found(Packing::Codes(codes_of), [n, k], sections, &taken)
    }

    /// Floats e4m3fn with factors of tiles.
    async fn floats(&self, factors: &str, tile: [usize; 2]) -> Result<Found> {
        let codes = match &self.part("weight")?.packed {
            Some(PackedTensor { packing: Packing::Bytes { e4m3: true, .. }, sections }) => sections.first().cloned(),
            _ => None,
        };
        let codes = codes.ok_or_else(|| self.broken("is not of type F8_E4M3"))?;
        let sections = vec![codes, self.made_f32(factors).await?];
        self.found(Packing::Bytes { e4m3: true, tile }, self.matrix("weight")?, sections, &["weight", factors])
    }
}

/// Values of a group; -1 is a whole row.
fn group(own: &Config, k: usize) -> Result<usize> {
    let size = own.get::<i64>("group_size", 128)?;
    Ok(if size > 0 { size as usize } else { k.max(1) })
}
