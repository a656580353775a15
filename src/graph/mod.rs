//! The static graph: build -> fuse -> plan -> program -> run, each step printable.
//!
//! A [`Graph`] is nodes over values; [`fuse`] rewrites it; [`Plan`] decides launches and slots from types and
//! capabilities alone; a [`Program`] binds a plan to buffers of a device and replays it. Knows no models.

mod bisect;
mod cost;
mod fuse;
mod host;
mod ir;
mod plan;
mod program;
mod record;
mod run;
mod show;
mod store;

pub use bisect::{BadCell, bisect, excess};
pub use cost::{StageCost, stage_costs};
pub use fuse::{FuseOptions, REWRITES, Rewrite, fuse};
pub use host::{decode, encode};
pub use ir::{Graph, Node, NodeId, Role, Value, ValueId};
pub use plan::{Place, Plan, Step};
pub(crate) use plan::{chunk_bytes, stored_bytes};
pub use program::{Pool, Program};
pub use record::{InputRecord, LaunchRecord, OutputRecord, Piece, ReplayShaders, StepRecord};
pub use run::RunOptions;
pub use store::Store;
