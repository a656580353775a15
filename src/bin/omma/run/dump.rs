//! Collecting stages in the case's shapes and writing them.

use super::case::Sample;
use super::inputs::Inputs;
use omma::checkpoint::{TensorBytes, write_safetensors};
use omma::generate::Stage;
use omma::{DType, Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Tensors of one sample.
pub struct Dump<'s> {
    sample: &'s Sample,
    tensors: BTreeMap<String, (DType, Vec<usize>, Vec<u8>)>,
}

impl<'s> Dump<'s> {
    /// Nothing yet.
    pub fn new(sample: &'s Sample) -> Self {
        Self { sample, tensors: BTreeMap::new() }
    }
    /// Adds a stage that the case lists, in its shape.
    pub fn add(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<()> {
        let Some(stage) = self.sample.stage(name) else { return Ok(()) };
        let shape =
            if stage.shape.iter().product::<usize>() == values.len() { stage.shape.clone() } else { shape.to_vec() };
        if shape.iter().product::<usize>() != values.len() {
            return Err(Error::graph(name, format!("{} values for the shape {shape:?}", values.len())));
        }
        self.tensors.insert(name.into(), (DType::F32, shape, bytemuck::cast_slice(values).to_vec()));
        Ok(())
    }
    /// Adds stages as they are.
    pub fn stages(&mut self, stages: &[Stage]) -> Result<()> {
        stages.iter().try_for_each(|s| self.add(&s.name, &s.shape, &s.values))
    }
    /// Adds the stages that have all values of the case's.
    pub fn whole_stages(&mut self, stages: &[Stage]) -> Result<()> {
        let whole = |s: &&Stage| {
            self.sample.stage(&s.name).is_some_and(|own| own.shape.iter().product::<usize>() == s.values.len())
        };
        let whole: Vec<&Stage> = stages.iter().filter(whole).collect();
        whole.into_iter().try_for_each(|s| self.add(&s.name, &s.shape, &s.values))
    }
    /// Adds stages of ragged rows at their padded places, zeros elsewhere.
    pub fn padded(&mut self, stages: &[Stage], places: &[Vec<usize>], width: usize) -> Result<()> {
        let tokens: usize = places.iter().map(Vec::len).sum();
        for stage in stages {
            let cols = stage.values.len() / tokens.max(1);
            if stage.shape.first() != Some(&tokens) {
                self.add(&stage.name, &stage.shape, &stage.values)?;
                continue;
            }
            let mut all = vec![0f32; places.len() * width * cols];
            let mut rows = stage.values.chunks_exact(cols);
            for (b, list) in places.iter().enumerate() {
                for (place, row) in list.iter().zip(&mut rows) {
                    all[(b * width + place) * cols..][..cols].copy_from_slice(row);
                }
            }
            self.add(&stage.name, &[places.len(), width, cols], &all)?;
        }
        Ok(())
    }
    /// Adds an integer tensor.
    pub fn add_ints(&mut self, name: &str, shape: &[usize], values: &[i64]) {
        self.tensors.insert(name.into(), (DType::I64, shape.to_vec(), bytemuck::cast_slice(values).to_vec()));
    }
    /// What was made from pictures and prompts; from inputs, the stages among the inputs.
    pub fn inputs(&mut self, inputs: &Inputs) -> Result<()> {
        for (name, (shape, values)) in &inputs.floats {
            if !self.tensors.contains_key(name) {
                self.add(name, shape, values)?;
            }
        }
        for (name, ints) in &inputs.ints {
            if inputs.made || self.sample.stage(name).is_some() {
                self.add_ints(name, &ints.shape, &ints.values);
            }
        }
        Ok(())
    }
    /// Writes the file; an error names stages that the case lists and the run did not make.
    pub fn write(&self, path: &Path) -> Result<()> {
        let missing: Vec<&str> =
            self.sample.stages.iter().map(|s| s.name.as_str()).filter(|n| !self.tensors.contains_key(*n)).collect();
        if !missing.is_empty() {
            return Err(Error::graph("dump", format!("stages that were not made: {}", missing.join(", "))));
        }
        let rows =
            self.tensors.iter().map(|(name, (dtype, shape, bytes))| TensorBytes { name, dtype: *dtype, shape, bytes });
        write_safetensors(path, &rows.collect::<Vec<_>>(), &BTreeMap::new())
    }
}
