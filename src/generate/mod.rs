//! Sessions: a model with its weights on a device, programs by shape, generation, sampling, streaming.
//! Knows no family; the maths is in the programs.

mod load;
mod model;
mod pictures;
mod plan;
mod programs;
mod recording;
mod session;
mod synthetic;

pub use load::{LoadOptions, load_weights};
pub use model::{Model, ModelFiles, OpenModel};
pub use pictures::{PictureSource, Pixels};
pub use plan::{
    MemoryPlan, PlanRequest, PlannedBytes, PlannedProgram, largest_context, plan_memory, planned_image_tokens,
    planned_spec,
};
pub use programs::Programs;
pub use recording::EncodeRecording;
pub use session::{Sequence, Session, SessionOptions, Stage, Step};
pub use synthetic::random_model;
