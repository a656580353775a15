//! Blocks: functions that add the nodes of a layer to a graph. They know kernels and shapes, no model and no
//! device. Tensor names come in with the specs and are used as they are.

mod attention;
mod cache;
mod decoder;
mod embed;
mod encoder;
mod linear;
mod norm;
mod patch;
mod rope;
mod splice;

pub use attention::{SelfAttention, Spans};
pub use cache::{KvCache, cache_names};
pub use decoder::{DecoderLayer, Flow, decoder_layer};
pub use embed::TokenTable;
pub use encoder::{EncoderFlow, EncoderLayer, EncoderRope, Mlp, encoder_layer};
pub use linear::{Linear, two_layer};
pub use norm::Norm;
pub use patch::PatchEmbedding;
pub use rope::{RopeScaling, RopeSpec, rope_table};
pub use splice::{gather, splice};
