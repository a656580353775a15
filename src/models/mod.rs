//! Models: a family turns config.json into a [`Spec`] (tables of names and sizes); assembling turns a spec into
//! graphs by way of blocks. No mathematics here, and no device.

mod assemble;
pub mod families;
mod interpolate;
mod spec;
mod vision;

pub use assemble::{
    DecodeShape, PrefillShape, decode_graph, encode_graph, names, prefill_graph, score_graph, text_graph,
};
pub use families::{FAMILIES, Family, read_spec};
pub use interpolate::bicubic_rows;
pub use spec::{
    Classifier, Connector, Contrast, Decoder, Dtypes, FeatureSelect, Pooling, PromptForm, Spec, TextTower,
    UniformDtype, UniformFormat, VisionTower,
};
pub use vision::{Hidden, vision_hidden};
