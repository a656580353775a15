//! Models: a family turns config.json into a [`Spec`] (tables of names and sizes); assembling turns a spec into
//! graphs by way of blocks. No mathematics here, and no device.

mod assemble;
mod encode;
pub mod families;
mod features;
mod inputs;
mod places;
mod spec;
mod tiled;
mod vision;

pub use assemble::{
    DecodeShape, PrefillShape, cross_graph, decode_graph, names, prefill_graph, score_graph, text_graph,
};
pub use encode::encode_graph;
pub use families::{FAMILIES, Family, read_spec};
pub use features::{Assembly, features_graph};
pub use inputs::{TowerInputs, inputs_of};
pub use places::{Sight, grid_positions, tile_sight};
pub use spec::{
    Bridge, ClassHead, Classifier, Connector, Contrast, Cross, Decoder, Dtypes, FeatureSelect, HeadRows, Merger,
    Placing, Pooler, Pooling, Positions, Projector, PromptForm, Spec, TextTower, Tiled, UniformDtype, UniformFormat,
    VisionTower,
};
pub use vision::{Hidden, pixels_type, vision_hidden};
