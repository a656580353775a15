//! What a tower gets: inputs of any sizes, and the pictures they were cut from.

use super::spec::{Spec, VisionTower};
use crate::image::tiles::{Input, Place, TilePlan};
use crate::{Error, Result};
use std::hash::{Hash, Hasher};
use std::ops::Range;

/// The inputs of a request, picture by picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TowerInputs {
    /// Height and width of every input, in pixels.
    pub sizes: Vec<(usize, usize)>,
    /// The plan of every picture, whose inputs follow one another. Without plans every input is a picture of its own,
    /// and its features stand as they come.
    pub plans: Vec<TilePlan>,
    /// Height and width of the upper left part of every input that is picture, where the rest is padding.
    pub filled: Option<Vec<(usize, usize)>>,
    /// Where plans do not say it: the tile of its picture that every input is, `None` for a whole picture.
    pub placed: Option<Vec<Option<usize>>>,
}

impl TowerInputs {
    /// `count` pictures of one input of this size (height, width) each.
    pub fn same(size: (usize, usize), count: usize) -> Self {
        Self { sizes: vec![size; count], ..Self::default() }
    }
    /// One picture of the size that a tower was trained on, as a first tile where tiles have weights of their own.
    pub fn one(tower: &VisionTower) -> Self {
        let placed = (!tower.adapters.is_empty()).then(|| vec![Some(0)]);
        Self { placed, ..Self::same((tower.image_size, tower.image_size), 1) }
    }
    /// Those of planned pictures.
    pub fn of<'p>(pictures: impl Iterator<Item = (&'p TilePlan, &'p [Input])>) -> Self {
        let mut own = Self::default();
        for (plan, inputs) in pictures {
            let sizes = inputs.iter().map(Input::size);
            own.sizes.extend(sizes.map(|(width, height)| (height as usize, width as usize)));
            own.plans.push(plan.clone());
        }
        own
    }
    /// The inputs `range`; with their plans where `range` is made of whole pictures.
    pub fn part(&self, range: Range<usize>) -> Self {
        let mut plans = Vec::new();
        let mut first = 0;
        for plan in &self.plans {
            let end = first + inputs_of(plan);
            if first >= range.start && end <= range.end {
                plans.push(plan.clone());
            }
            first = end;
        }
        let whole = plans.iter().map(inputs_of).sum::<usize>() == range.len();
        let filled = self.filled.as_ref().map(|sizes| sizes[range.clone()].to_vec());
        let placed = (!whole || self.placed.is_some()).then(|| self.tiles()[range.clone()].to_vec());
        Self { sizes: self.sizes[range].to_vec(), plans: if whole { plans } else { Vec::new() }, filled, placed }
    }
    /// Of every input the tile of its picture that it is; `None` for an overview, and for a picture of one input.
    pub fn tiles(&self) -> Vec<Option<usize>> {
        if let Some(placed) = &self.placed {
            return placed.clone();
        }
        let mut tiles = vec![None; self.sizes.len()];
        for (plan, range) in self.plans.iter().zip(self.pictures()) {
            let own = places(plan).0;
            tiles[range][own.clone()].iter_mut().zip(0..).for_each(|(tile, at)| *tile = Some(at));
        }
        tiles
    }
    /// Height and width of the part of every input that is no padding.
    pub fn pictured(&self) -> &[(usize, usize)] {
        self.filled.as_deref().unwrap_or(&self.sizes)
    }
    /// Inputs of every picture.
    pub fn pictures(&self) -> Vec<Range<usize>> {
        if self.plans.is_empty() {
            return (0..self.sizes.len()).map(|i| i..i + 1).collect();
        }
        let mut first = 0;
        let ends = self.plans.iter().map(|plan| {
            first += inputs_of(plan);
            first - inputs_of(plan)..first
        });
        ends.collect()
    }
    /// A text that is the same for equal inputs, as a key of programs.
    pub fn key(&self) -> String {
        let mut hasher = std::hash::DefaultHasher::new();
        format!("{self:?}").hash(&mut hasher);
        format!("{} inputs {:016x}", self.sizes.len(), hasher.finish())
    }
    /// Values of the planes of all inputs.
    pub fn values(&self, channels: usize) -> usize {
        self.sizes.iter().map(|(height, width)| channels * height * width).sum()
    }
    /// Feature rows that the connector gives for every input.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model without tower and connector.
    pub fn features(&self, spec: &Spec) -> Result<Vec<usize>> {
        let (Some(tower), Some(connector)) = (&spec.vision, &spec.connector) else {
            return Err(Error::unsupported(
                "a picture",
                format!("a model of type {} has no connector", spec.model_type),
            ));
        };
        let prefix = if connector.select.drop_prefix { 0 } else { tower.prefix.len() };
        Ok(self.sizes.iter().map(|size| connector.bridge.features(tower.grid(*size), prefix)).collect())
    }
}

/// Inputs of the tower that a picture becomes.
pub fn inputs_of(plan: &TilePlan) -> usize {
    plan.tiles.len() + usize::from(plan.overview.is_some())
}

/// Of a picture's inputs, those of the tiles, and that of the overview.
pub(super) fn places(plan: &TilePlan) -> (Range<usize>, usize) {
    match plan.overview.map(|o| o.place) {
        Some(Place::First) => (1..plan.tiles.len() + 1, 0),
        _ => (0..plan.tiles.len(), plan.tiles.len()),
    }
}
