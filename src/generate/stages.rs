//! Stages of a program, read back: for dumps, tests and embeddings.

use crate::Result;
use crate::gpu::{Device, Slice};
use crate::graph::{Pool, Program, Store, decode};
use crate::kernels::TensorType;

/// A stage's values, read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Stage name.
    pub name: String,
    /// Shape on the device: rows of all sequences, width.
    pub shape: Vec<usize>,
    /// Values.
    pub values: Vec<f32>,
}

/// Which stages to read back after a program.
pub type Wanted<'a> = &'a (dyn Fn(&str) -> bool + Sync);

pub(super) async fn read_f32(device: &Device, store: &Store, name: &str, ty: &TensorType) -> Result<Vec<f32>> {
    let slice = store.slice(name)?;
    let bytes = device.read(&Slice { bytes: ty.bytes().min(slice.bytes), ..slice.clone() }).await?;
    Ok(decode(ty, &[bytes], device.caps())?.data.iter().map(|v| *v as f32).collect())
}

/// Names of the taps of a graph that are wanted.
pub(super) fn tap_names(
    wanted: Wanted<'_>,
    graph: impl FnOnce() -> Result<crate::graph::Graph>,
) -> Result<Vec<String>> {
    if !wanted("") {
        return Ok(Vec::new());
    }
    Ok(graph()?.taps.into_iter().map(|(name, _)| name).filter(|name| wanted(name)).collect())
}

pub(super) async fn read_taps(
    device: &Device,
    program: &Program,
    store: &Store,
    pool: &Pool,
    taps: &[String],
) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    for name in taps {
        let id = program.tap(name)?;
        let ty = program.plan().graph.ty(id).clone();
        let bytes = device.read(&program.output(id, store, pool)?).await?;
        let values = decode(&ty, &[bytes], device.caps())?.data.iter().map(|v| *v as f32).collect();
        stages.push(Stage { name: name.clone(), shape: ty.shape, values });
    }
    Ok(stages)
}

pub(super) fn merge_stages(all: &mut Vec<Stage>, more: Vec<Stage>) {
    for stage in more {
        match all.iter_mut().find(|s| s.name == stage.name) {
            Some(first) => {
                first.shape[0] += stage.shape[0];
                first.values.extend(stage.values);
            }
            None => all.push(stage),
        }
    }
}

/// Adds the stages of a part of `rows` rows: those with a cell for each row grow, others are those of the last part.
pub(super) fn merge_rows(all: &mut Vec<Stage>, more: Vec<Stage>, rows: usize) {
    for stage in more {
        match all.iter_mut().find(|s| s.name == stage.name) {
            Some(first) if stage.shape.first() == Some(&rows) => {
                first.shape[0] += rows;
                first.values.extend(stage.values);
            }
            Some(first) => *first = stage,
            None => all.push(stage),
        }
    }
}
