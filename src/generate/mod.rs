//! Sessions: a model with its weights on a device, programs by shape, generation, sampling, streaming.
//! Knows no family; the maths is in the programs.

mod load;
mod model;
mod pictures;
mod plan;
mod prompt;
mod programs;
mod session;

pub use load::{LoadOptions, load_weights};
pub use model::{Model, ModelFiles, OpenModel};
pub use pictures::{PictureSource, Pixels};
pub use plan::{MemoryPlan, PlanRequest, plan_memory};
pub use prompt::{Request, Turn};
pub use programs::Programs;
pub use session::{Answer, GenerateOptions, Session, SessionOptions, Step};
