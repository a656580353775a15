//! Sessions: a model with its weights on a device, programs by shape, generation, sampling, streaming.
//! Knows no family; the maths is in the programs.

mod answer;
mod load;
mod model;
mod pictures;
mod programs;
mod prompt;
mod session;
mod settings;

pub use answer::{Answer, Finish, Timings};
pub use load::{LoadOptions, load_weights};
pub use model::{Model, ModelFiles, OpenModel};
pub use pictures::{PictureSource, Pixels};
pub use programs::Programs;
pub use prompt::{Ask, Request};
pub use session::{Sequence, Session, SessionOptions, Stage, Step};
pub use settings::{GenerateOptions, Sampling};
