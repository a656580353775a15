//! Conformance harness of omma's kernels: one case list, read by tests, benches, docs and the support table.

pub mod case;
pub mod cases;
pub mod conformance;
pub mod docs;
pub mod draw;
pub mod drive;
pub mod fuzz;
pub mod jobs;
pub mod lint;
pub mod measured;
pub mod model_cases;
pub mod packed;
pub mod planted;
pub mod report;
pub mod run;
pub mod translate;
pub mod wgsl_dump;
