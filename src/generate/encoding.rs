//! The encoding half of a session: pictures and texts to features, embeddings and scores.

use super::Session;
use super::parts::groups;
use super::pictures::{Pixels, preprocess};
use super::stages::{Stage, Wanted, merge_stages, read_f32, read_taps, tap_names};
use crate::gpu::{Device, Slice, Use};
use crate::kernels::TensorType;
use crate::models::{
    Assembly, Spec, TowerInputs, encode_graph, features_graph, names, pixels_type, score_graph, text_graph,
};
use crate::{DType, Error, Result};
use std::ops::Range;

/// Inputs that are encoded group by group.
struct Groups<'i> {
    inputs: &'i TowerInputs,
    /// Planes of all inputs.
    all: Slice,
    stages: Vec<Stage>,
    /// Where the features of all inputs are collected; class logits or embeddings of several groups.
    target: Option<Slice>,
    /// Bytes of it that are filled.
    filled: u64,
}

impl Session {
    /// Preprocesses pictures on the GPU into [`names::PIXELS`]; returns the tower's inputs.
    pub async fn preprocess(&mut self, pictures: &[Pixels]) -> Result<TowerInputs> {
        let (device, run) = (self.device(), self.options.run.clone());
        let how = (self.model.compute, &run);
        preprocess(&device, &mut self.store, &mut self.programs.pool, pictures, how).await
    }
    /// Takes normalised planes of the inputs from the host instead: \[channels, height, width\] of each, one after the
    /// other.
    pub async fn set_pixels(&mut self, values: &[f32]) -> Result<()> {
        let (device, compute) = (self.device(), self.model.compute);
        let bytes = TensorType::new(compute, &[values.len()]).bytes();
        self.store.ensure_whole(&device, names::PIXELS, bytes).await?;
        if compute == DType::F16 {
            let halves: Vec<half::f16> = values.iter().map(|v| half::f16::from_f32(*v)).collect();
            return self.store.write(&device, names::PIXELS, bytemuck::cast_slice(&halves));
        }
        self.store.write(&device, names::PIXELS, bytemuck::cast_slice(values))
    }
    /// The planes that the last preprocessing made, one input after the other.
    pub async fn pixels(&self, inputs: &TowerInputs) -> Result<Vec<f32>> {
        let ty = TensorType::new(self.model.compute, &[inputs.values(3)]);
        read_f32(&self.device(), &self.store, names::PIXELS, &ty).await
    }

    /// Encodes the inputs in [`names::PIXELS`] as one ragged batch. Features for a decoder are put in the order of the
    /// pictures' plans and kept in [`names::FEATURES`] for the next prefill; class logits and embeddings under their
    /// [`names`]. Returns the stages asked for.
    ///
    /// Inputs that would not fit the device's limits at once are encoded in groups.
    pub async fn encode(&mut self, inputs: &TowerInputs, wanted: Wanted<'_>) -> Result<Vec<Stage>> {
        let model = self.model.clone();
        let assembly = model.spec.connector.as_ref().map(|_| Assembly::new(&model.spec, inputs)).transpose()?;
        let all = self.store.slice(names::PIXELS)?.clone();
        let ranges = groups(&model.spec, model.device.caps(), inputs, model.compute);
        let several = ranges.len() > 1;
        let target = match &assembly {
            Some(assembly) => Some(self.feature_rows_of(assembly).await?),
            None => None,
        };
        let mut groups = Groups { inputs, all: all.clone(), stages: Vec::new(), target, filled: 0 };
        let mut result = Ok(());
        for range in ranges {
            result = self.encode_group(&mut groups, range, wanted).await;
            if result.is_err() {
                break;
            }
        }
        // After an error too: a second attempt finds the planes where they were.
        if several {
            self.store.put(names::PIXELS, vec![all]);
        }
        result?;
        match (assembly, groups.target) {
            (Some(assembly), _) => self.place_features(inputs, &assembly).await?,
            (None, Some(whole)) => self.store.put(result_name(&model.spec), vec![whole]),
            (None, None) => {}
        }
        Ok(groups.stages)
    }

    /// The buffer in which the features of all inputs are collected.
    async fn feature_rows_of(&mut self, assembly: &Assembly) -> Result<Slice> {
        let (device, width) = (self.device(), self.model.spec.decoder.as_ref().map_or(0, |d| d.width));
        let name = if assembly.is_identity() { names::FEATURES } else { names::ROWS };
        let ty = TensorType::new(self.model.compute, &[assembly.features().max(assembly.rows()), width]);
        check_features(&ty, &device)?;
        let ty = TensorType::new(self.model.compute, &[assembly.features(), width]);
        self.store.ensure(&device, name, &ty).await?;
        self.store.slice(name).cloned()
    }

    /// Features of the inputs to the rows that stand for the pictures.
    async fn place_features(&mut self, inputs: &TowerInputs, assembly: &Assembly) -> Result<()> {
        if !assembly.is_identity() {
            let (device, model) = (self.device(), self.model.clone());
            let graph = || features_graph(&model.spec, assembly, model.compute);
            let key = format!("features {}", inputs.key());
            self.programs.prepare(&device, &mut self.store, &key, graph).await?;
            self.programs.newest()?.run(&device, &self.options.run).await?;
        }
        self.feature_rows = assembly.rows();
        Ok(())
    }

    /// Encodes the inputs `range`.
    async fn encode_group(&mut self, groups: &mut Groups<'_>, range: Range<usize>, wanted: Wanted<'_>) -> Result<()> {
        let (device, model) = (self.device(), self.model.clone());
        let part = groups.inputs.part(range.clone());
        let whole = range.len() == groups.inputs.sizes.len();
        if !whole {
            self.take_planes(groups, range).await?;
        }
        let taps = tap_names(wanted, || encode_graph(&model.spec, &part, true, model.compute))?;
        let key = format!("encode {} {taps:?}", part.key());
        let graph = || {
            let mut g = encode_graph(&model.spec, &part, !taps.is_empty(), model.compute)?;
            g.keep_taps(|name| taps.iter().any(|t| t == name));
            Ok(g)
        };
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        let program = self.programs.newest()?;
        program.run(&device, &self.options.run).await?;
        let read = read_taps(&device, program, &self.store, &self.programs.pool, &taps).await?;
        merge_stages(&mut groups.stages, read);
        if whole && model.spec.connector.is_none() { Ok(()) } else { self.collect(groups, part.sizes.len()).await }
    }

    /// Binds one group's planes as the pixels of the next program.
    async fn take_planes(&mut self, groups: &Groups<'_>, range: Range<usize>) -> Result<()> {
        let (device, compute) = (self.device(), self.model.compute);
        let before = groups.inputs.part(0..range.start).values(3);
        let offset = groups.all.offset + (compute.size() * before) as u64;
        let ty = pixels_type(&groups.inputs.sizes[range], 3, compute);
        let part = device.buffer(names::PIXELS, ty.bytes(), Use::Storage).await?;
        let (from, to) = (Slice { offset, ..groups.all.clone() }, Slice::whole(part));
        device.submit("pixels", |r| r.copy(&from, &to, ty.bytes())).await?;
        self.store.put(names::PIXELS, vec![to]);
        Ok(())
    }

    /// Appends the features, class logits or embeddings of a group of `part` inputs to those of the request.
    async fn collect(&self, groups: &mut Groups<'_>, part: usize) -> Result<()> {
        let (device, name) = (self.device(), result_name(&self.model.spec));
        let program = self.programs.newest()?;
        let ty = program.plan().graph.states().find(|(state, _)| *state == name).map(|(_, ty)| ty.clone());
        let ty = ty.ok_or_else(|| Error::graph(name, "is not a result of the encoder"))?;
        if groups.target.is_none() {
            let bytes = ty.bytes() / part.max(1) as u64 * groups.inputs.sizes.len() as u64;
            groups.target = Some(Slice::first(device.buffer(name, bytes, Use::Storage).await?, bytes));
        }
        let (Some(target), from) = (&groups.target, self.store.slice(name)?) else { return Ok(()) };
        let to = Slice { offset: target.offset + groups.filled, ..target.clone() };
        device.submit("results", |r| r.copy(from, &to, ty.bytes())).await?;
        groups.filled += ty.bytes();
        Ok(())
    }

    /// Takes features \[rows, width of the decoder\] from the host for the next prefill.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for values that are no whole rows, [`Error::Unsupported`] without a decoder.
    pub async fn set_features(&mut self, values: &[f32]) -> Result<()> {
        let (device, compute) = (self.device(), self.model.compute);
        let width = self.model.spec.decoder.as_ref().map(|d| d.width);
        let width = width.ok_or_else(|| Error::unsupported("features", "the model has no decoder"))?;
        if values.is_empty() || !values.len().is_multiple_of(width) {
            return Err(Error::argument("features", format!("{} values are no rows of {width}", values.len())));
        }
        let ty = TensorType::new(compute, &[values.len() / width, width]);
        check_features(&ty, &device)?;
        self.store.ensure(&device, names::FEATURES, &ty).await?;
        match compute {
            DType::F16 => {
                let bits: Vec<half::f16> = values.iter().map(|v| half::f16::from_f32(*v)).collect();
                self.store.write(&device, names::FEATURES, bytemuck::cast_slice(&bits))?;
            }
            _ => self.store.write(&device, names::FEATURES, bytemuck::cast_slice(values))?,
        }
        self.feature_rows = ty.rows();
        Ok(())
    }

    /// Rows of features that wait for a prefill.
    pub fn feature_rows(&self) -> usize {
        self.feature_rows
    }
    /// The features as a slice of a buffer on the device: `[rows, width of the decoder]`.
    pub fn features(&self) -> Result<&Slice> {
        self.store.slice(names::FEATURES)
    }
    /// A result that a program stored under one of [`names`], as f32.
    pub async fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        read_f32(&self.device(), &self.store, name, &TensorType::new(self.model.compute, shape)).await
    }

    /// Encodes texts (CLIP); returns the stages asked for. Results in [`names::TEXT_EMBEDS`].
    pub async fn encode_texts(&mut self, texts: &[Vec<u32>], wanted: Wanted<'_>) -> Result<Vec<Stage>> {
        let (device, model) = (self.device(), self.model.clone());
        let tower =
            model.spec.text.as_ref().ok_or_else(|| Error::unsupported("a text", "the model has no text tower"))?;
        let lens: Vec<usize> = texts.iter().map(Vec::len).collect();
        if let Some(len) = lens.iter().find(|l| **l > tower.max_positions || **l == 0) {
            return Err(Error::PromptTooLong { tokens: *len, context: tower.max_positions });
        }
        let taps = tap_names(wanted, || text_graph(&model.spec, &[1], model.compute))?;
        let graph = || {
            let mut g = text_graph(&model.spec, &lens, model.compute)?;
            g.keep_taps(|name| taps.iter().any(|t| t == name));
            Ok(g)
        };
        let key = format!("text {lens:?} {taps:?}");
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        let ids: Vec<u32> = texts.concat();
        let positions: Vec<u32> = lens.iter().flat_map(|l| 0..*l as u32).collect();
        let mut start = 0;
        let mut last = Vec::new();
        for text in texts {
            last.push(start + tower.pooling.row(text) as u32);
            start += text.len() as u32;
        }
        self.write(names::IDS, &ids)?;
        self.write(names::POSITIONS, &positions)?;
        self.write(names::LAST, &last)?;
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        let program = self.programs.newest()?;
        program.run(&device, &self.options.run).await?;
        read_taps(&device, program, &self.store, &self.programs.pool, &taps).await
    }

    /// Scores of the encoded pictures and texts, `[pictures, texts]`.
    pub async fn score(&mut self, pictures: usize, texts: usize) -> Result<Vec<f32>> {
        let (device, model) = (self.device(), self.model.clone());
        let graph = || score_graph(&model.spec, pictures, texts, model.compute);
        self.programs.prepare(&device, &mut self.store, &format!("score {pictures} {texts}"), graph).await?;
        let program = self.programs.newest()?;
        program.run(&device, &self.options.run).await?;
        self.read(names::SCORES, &[pictures, texts]).await
    }
}

/// Features of all pictures of a request stand in one binding.
fn check_features(ty: &TensorType, device: &Device) -> Result<()> {
    let limit = device.caps().max_binding.min(device.caps().max_buffer);
    if ty.bytes() <= limit {
        return Ok(());
    }
    Err(Error::MissingCapability {
        what: format!("{} feature rows of pictures", ty.rows()),
        needs: format!("a binding of {} bytes", ty.bytes()),
        has: format!("{limit} bytes; send fewer pictures at once, or cap the tokens of each (--max-image-tokens)"),
    })
}

/// The name under which an encode program leaves its result.
pub(super) fn result_name(spec: &Spec) -> &'static str {
    match spec {
        spec if spec.connector.is_some() => names::ENCODED,
        spec if spec.classifier.is_some() => names::CLASS_LOGITS,
        _ => names::IMAGE_EMBEDS,
    }
}
