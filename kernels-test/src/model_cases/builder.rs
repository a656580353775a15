//! What a builder of a case works with: the graph, inputs and weights on the device, and the stages to be dumped.
//! Everything that depends on data is computed on the device; the host reads sizes, ids and grids.

use super::case::{Inputs, ModelCase, Numbers, Sample, StageSpec};
use omma::checkpoint::{Checkpoint, Config};
use omma::graph::{Graph, ValueId};
use omma::kernels::TensorType;
use omma::{Error, Result};
use std::collections::BTreeMap;

/// Where a stage comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Rows `first .. first + count` of a value; all of it without.
    Rows(ValueId, Option<(usize, usize)>),
    /// Geometry in floats.
    Floats(Vec<f32>),
    /// Geometry in integers.
    Ints(Vec<i64>),
}

/// A case under construction.
pub struct Builder<'c> {
    case: &'c ModelCase,
    sample: &'c Sample,
    inputs: &'c Inputs,
    /// The graph.
    pub graph: Graph,
    /// The weights, under the names that the graph uses.
    pub checkpoint: Checkpoint,
    pub(super) uploads: BTreeMap<String, Vec<f32>>,
    pub(super) stages: BTreeMap<String, Stage>,
}

impl<'c> Builder<'c> {
    /// An empty graph.
    pub fn new(case: &'c ModelCase, sample: &'c Sample, inputs: &'c Inputs) -> Self {
        Self {
            case,
            sample,
            inputs,
            graph: Graph::new(),
            checkpoint: case.checkpoint.clone(),
            uploads: BTreeMap::new(),
            stages: BTreeMap::new(),
        }
    }
    /// config.json
    pub fn config(&self) -> &'c Config {
        &self.case.config
    }
    /// A number that config.json has to state.
    ///
    /// # Errors
    /// It is not there, or no count.
    pub fn need(&self, path: &str) -> Result<usize> {
        let found = self.config().optional(path)?;
        found.ok_or_else(|| self.config().broken(path, "is not there"))
    }
    /// Width and height of picture `i` of the sample.
    ///
    /// # Errors
    /// There is no such picture, or it cannot be read.
    pub fn picture_size(&self, i: usize) -> Result<(u32, u32)> {
        self.case.picture_size(self.sample, i)
    }
    /// Stages that are wanted.
    pub fn wanted(&self) -> &'c [StageSpec] {
        &self.sample.stages
    }
    /// Whether a stage of that name is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.wanted().iter().any(|stage| stage.name == name)
    }
    /// Shape of an input, if it is there.
    pub fn input_shape(&self, name: &str) -> Option<&'c [usize]> {
        self.inputs.get(name).map(|(shape, _)| shape.as_slice())
    }
    /// An input of floats on the device, as `shape`.
    ///
    /// # Errors
    /// It is not there, or has another number of elements.
    pub fn input(&mut self, name: &str, shape: &[usize]) -> Result<ValueId> {
        let (own, values) = self.floats(name)?;
        if values.len() != shape.iter().product::<usize>() {
            return Err(Error::WrongShape { name: name.into(), got: own.to_vec(), want: shape.to_vec() });
        }
        self.upload(name, values.to_vec());
        Ok(self.graph.state(name, TensorType::f32(shape)))
    }
    /// Shape and numbers of an input of floats: for what is put together before it goes to the device.
    ///
    /// # Errors
    /// It is not there, or holds integers.
    pub fn floats(&self, name: &str) -> Result<(&'c [usize], &'c [f32])> {
        match self.given(name)? {
            (shape, Numbers::Floats(values)) => Ok((shape, values)),
            _ => Err(Error::malformed(name, "holds integers, not floats")),
        }
    }
    /// What the state of that name holds when the graph runs.
    pub fn upload(&mut self, name: &str, values: Vec<f32>) {
        self.uploads.insert(name.to_owned(), values);
    }
    /// An input of floats on the device, in its own shape of `axes` axes.
    ///
    /// # Errors
    /// It is not there, or has another number of axes.
    pub fn tensor(&mut self, name: &str, axes: usize) -> Result<(ValueId, Vec<usize>)> {
        let shape = self.given(name)?.0.clone();
        if shape.len() != axes {
            return Err(Error::malformed(name, format!("{shape:?} has not {axes} axes")));
        }
        Ok((self.input(name, &shape)?, shape))
    }
    /// An input of integers, on the host: ids and places.
    ///
    /// # Errors
    /// It is not there, or holds floats.
    pub fn ints(&self, name: &str) -> Result<&'c [i64]> {
        match self.given(name)? {
            (_, Numbers::Ints(values)) => Ok(values),
            _ => Err(Error::malformed(name, "holds floats, not integers")),
        }
    }
    fn given(&self, name: &str) -> Result<&'c (Vec<usize>, Numbers)> {
        let known = || self.inputs.keys().cloned().collect();
        self.inputs.get(name).ok_or_else(|| Error::MissingTensor {
            path: self.sample.inputs.clone(),
            name: name.into(),
            near: known(),
        })
    }
    /// Shape of a weight.
    ///
    /// # Errors
    /// It is not there.
    pub fn weight_shape(&self, name: &str) -> Result<Vec<usize>> {
        Ok(self.checkpoint.entry(name)?.shape.clone())
    }
    /// The value of a stage.
    pub fn stage(&mut self, name: &str, value: ValueId) {
        self.stages.insert(name.to_owned(), Stage::Rows(value, None));
    }
    /// A stage that is `count` rows of a value from `first` on.
    pub fn stage_rows(&mut self, name: &str, value: ValueId, (first, count): (usize, usize)) {
        self.stages.insert(name.to_owned(), Stage::Rows(value, Some((first, count))));
    }
    /// A stage that is geometry.
    pub fn stage_of(&mut self, name: &str, stage: Stage) {
        self.stages.insert(name.to_owned(), stage);
    }
}

/// The name that the `i`-th call of a hooked module has among the stages: `name`, `name_1`, `name_2`, ..
pub fn nth(name: &str, i: usize) -> String {
    if i == 0 { name.to_owned() } else { format!("{name}_{i}") }
}
