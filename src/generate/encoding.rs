//! The encoding half of a session: pictures and texts to features, embeddings and scores.

use super::parts::group_size;
use super::pictures::{Pixels, preprocess};
use super::stages::{Stage, Wanted, merge_stages, read_f32, read_taps, tap_names};
use super::{Programs, Session};
use crate::gpu::{Slice, Use};
use crate::kernels::TensorType;
use crate::models::{Spec, encode_graph, names, score_graph, text_graph};
use crate::{DType, Error, Result};
use std::ops::Range;

/// Pictures that are encoded group by group.
struct Groups {
    /// Planes of all pictures.
    all: Slice,
    pictures: usize,
    size: (usize, usize),
    stages: Vec<Stage>,
    /// Class logits or embeddings of all pictures.
    result: Option<Slice>,
}

impl Session {
    /// Preprocesses pictures on the GPU; returns their height and width.
    pub async fn preprocess(&mut self, pictures: &[Pixels]) -> Result<(usize, usize)> {
        let (device, run) = (self.device(), self.options.run.clone());
        preprocess(&device, &mut self.store, &mut self.programs, pictures, &run).await
    }
    /// Takes normalised planes \[pictures, channels, height, width\] from the host instead.
    pub async fn set_pixels(&mut self, values: &[f32], shape: &[usize]) -> Result<()> {
        let device = self.device();
        self.store.ensure_whole(&device, names::PIXELS, TensorType::f32(shape).bytes()).await?;
        self.store.write(&device, names::PIXELS, bytemuck::cast_slice(values))
    }
    /// The planes that the last preprocessing made.
    pub async fn pixels(&self, pictures: usize, size: (usize, usize)) -> Result<Vec<f32>> {
        let ty = TensorType::f32(&[pictures, 3, size.0, size.1]);
        read_f32(&self.device(), &self.store, names::PIXELS, &ty).await
    }

    /// Encodes the pictures in [`names::PIXELS`]. Features for a decoder are kept in [`names::FEATURES`] for the next
    /// prefill, class logits and embeddings under their [`names`]; returns the stages asked for.
    ///
    /// Pictures that would not fit the device's limits at once are encoded in groups.
    pub async fn encode(&mut self, pictures: usize, size: (usize, usize), wanted: Wanted<'_>) -> Result<Vec<Stage>> {
        let all = self.store.slice(names::PIXELS)?.clone();
        let group = group_size(&self.model.spec, self.model.device.caps(), size).min(pictures).max(1);
        let mut groups = Groups { all: all.clone(), pictures, size, stages: Vec::new(), result: None };
        let mut result = Ok(());
        for first in (0..pictures).step_by(group) {
            result = self.encode_group(&mut groups, first..pictures.min(first + group), wanted).await;
            if result.is_err() {
                break;
            }
        }
        // After an error too: a second attempt finds the planes where they were.
        if group < pictures {
            self.store.put(names::PIXELS, vec![all]);
        }
        result?;
        if let Some(whole) = groups.result {
            self.store.put(result_name(&self.model.spec), vec![whole]);
        }
        Ok(groups.stages)
    }

    /// Encodes the pictures `range`.
    async fn encode_group(&mut self, groups: &mut Groups, range: Range<usize>, wanted: Wanted<'_>) -> Result<()> {
        let (device, model) = (self.device(), self.model.clone());
        let (size, count, whole) = (groups.size, range.len(), range.len() == groups.pictures);
        if !whole {
            let plane_bytes = TensorType::f32(&[3, size.0, size.1]).bytes();
            self.take_planes(&groups.all, range.start as u64 * plane_bytes, count, size).await?;
        }
        let taps = tap_names(wanted, || encode_graph(&model.spec, &[size], true, model.compute))?;
        let key = format!("encode {count} {size:?} {taps:?}");
        let graph = || {
            let mut g = encode_graph(&model.spec, &vec![size; count], !taps.is_empty(), model.compute)?;
            g.keep_taps(|name| taps.iter().any(|t| t == name));
            Ok(g)
        };
        self.programs.prepare(&device, &mut self.store, &key, graph).await?;
        let program = self.programs.newest()?;
        program.run(&device, &self.options.run).await?;
        let read = read_taps(&device, program, &self.store, &self.programs.pool, &taps).await?;
        merge_stages(&mut groups.stages, read);
        if model.spec.connector.is_some() {
            self.collect_features(range, groups.pictures).await?;
        } else if !whole {
            self.collect_results(groups, range).await?;
        }
        Ok(())
    }

    /// Appends a group's class logits or embeddings to those of the request.
    async fn collect_results(&self, groups: &mut Groups, range: Range<usize>) -> Result<()> {
        let (device, name) = (self.device(), result_name(&self.model.spec));
        let program = self.programs.newest()?;
        let ty = program.plan().graph.states().find(|(state, _)| *state == name).map(|(_, ty)| ty.clone());
        let each = ty.map_or(0, |ty| ty.bytes()) / range.len().max(1) as u64;
        if groups.result.is_none() {
            let bytes = each * groups.pictures as u64;
            groups.result = Some(Slice::first(device.buffer(name, bytes, Use::Storage).await?, bytes));
        }
        let (Some(whole), from) = (&groups.result, self.store.slice(name)?) else { return Ok(()) };
        let to = Slice { offset: whole.offset + range.start as u64 * each, ..whole.clone() };
        device.submit("results", |r| r.copy(from, &to, range.len() as u64 * each)).await.map(|_| ())
    }

    /// Binds one group's planes as the pixels of the next program.
    async fn take_planes(&mut self, all: &Slice, offset: u64, count: usize, size: (usize, usize)) -> Result<()> {
        let device = self.device();
        let ty = TensorType::f32(&[count, 3, size.0, size.1]);
        let part = device.buffer(names::PIXELS, ty.bytes(), Use::Storage).await?;
        let (from, to) = (Slice { offset: all.offset + offset, ..all.clone() }, Slice::whole(part));
        device.submit("pixels", |r| r.copy(&from, &to, ty.bytes())).await?;
        self.store.put(names::PIXELS, vec![to]);
        Ok(())
    }

    /// Appends a group's features to those of the request.
    async fn collect_features(&mut self, range: Range<usize>, pictures: usize) -> Result<()> {
        let device = self.device();
        let width = self.model.spec.decoder.as_ref().map_or(0, |d| d.width);
        let encoded = self.store.slice(names::ENCODED)?.clone();
        let row = width * self.model.compute.size();
        let rows = features_of(&self.programs, range.len())?;
        let ty = TensorType::new(self.model.compute, &[pictures * rows, width]);
        self.store.ensure(&device, names::FEATURES, &ty).await?;
        let target = self.store.slice(names::FEATURES)?.clone();
        let to = Slice { offset: target.offset + (range.start * rows * row) as u64, ..target };
        let bytes = (range.len() * rows * row) as u64;
        device.submit("features", |r| r.copy(&encoded, &to, bytes)).await?;
        self.feature_rows = pictures * rows;
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

/// Feature rows of one picture, from the encode program that ran last.
pub(super) fn features_of(programs: &Programs, pictures: usize) -> Result<usize> {
    let program = programs.newest()?;
    let id = program.tap("connector")?;
    Ok(program.plan().graph.ty(id).rows() / pictures.max(1))
}

/// The name under which an encode program leaves its result.
pub(super) fn result_name(spec: &Spec) -> &'static str {
    match spec {
        spec if spec.connector.is_some() => names::ENCODED,
        spec if spec.classifier.is_some() => names::CLASS_LOGITS,
        _ => names::IMAGE_EMBEDS,
    }
}
