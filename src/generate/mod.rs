//! Sessions: a model with its weights on a device, programs by shape, generation, sampling, streaming.
//! Knows no family; the maths is in the programs.

mod answer;
mod cache;
#[cfg(feature = "disk-cache")]
mod cache_files;
mod cross;
mod decoding;
mod encoding;
mod expand;
mod fit;
mod load;
mod model;
mod parts;
mod pictures;
mod plan;
mod planned;
mod programs;
mod prompt;
#[cfg(not(target_arch = "wasm32"))]
mod quantize;
mod quantizer;
mod recording;
mod session;
mod settings;
mod sources;
mod stack;
mod stages;
mod synthetic;

pub use answer::{Answer, Finish, Timings};
pub use cache::{CacheCounts, PictureCache, PictureKey};
pub use fit::{FitWish, Fitted, fit_memory};
pub use load::{LoadOptions, load_weights};
pub use model::{Model, ModelFiles, OpenModel};
pub use pictures::{PictureSource, Pixels};
pub use plan::{
    MemoryPlan, PlanRequest, PlannedBytes, PlannedProgram, largest_context, plan_memory, planned_image_tokens,
};
pub use planned::planned_spec;
pub use programs::Programs;
pub use prompt::{Ask, Request};
#[cfg(not(target_arch = "wasm32"))]
pub use quantize::{WrittenTensor, quantize_checkpoint, unpacked_matrices};
pub use recording::EncodeRecording;
pub use session::{Sequence, Session, SessionOptions, Step};
pub use settings::{GenerateOptions, Sampling};
pub use stages::{Stage, Wanted};
pub use synthetic::random_model;
