//! Pictures at the edge of the engine: decoding, and the geometry of what a vision tower gets to see.
//!
//! Here: [`Picture`] (bytes -> RGB pixels as PIL gives them), [`Preprocess`] (a checkpoint's
//! `preprocessor_config.json`), [`Policy`] (the names of tilings), [`tiles`] (what each of them does to a picture),
//! [`Plan`] (one input: which part of the picture is resized to what, and cropped where), [`Taps`] (the integer weights
//! of a resize, as Pillow computes them), [`Walk`] (the same in the order in which a kernel reads samples) and [`Sampling`] (the weights of any other separable resize).
//! Not here: resizing and normalising themselves, which are kernels (`resize`, `normalize`), and anything that knows a model. After decoding no pixel is touched on the CPU.

mod fields;
mod inks;
mod picture;
mod plan;
mod policy;
mod preprocess;
mod sampling;
mod taps;
pub mod tiles;
mod walk;

#[cfg(test)]
mod goldens;
#[cfg(test)]
mod tests;

pub use picture::{Limits, Picture};
pub use plan::{Plan, Resampling, Window};
pub use policy::Policy;
pub use preprocess::{Preprocess, Size};
pub use sampling::{AxisTaps, Coordinates, Interpolation, Rounding, Sampling};
pub use taps::{PRECISION_BITS, Resample, Taps};
pub use walk::{BACKGROUND, BEYOND, FINISHED, HEAD, SAMPLES, SLOTS, Samples, Walk};
