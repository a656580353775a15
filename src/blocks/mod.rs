//! Blocks: functions that add the nodes of a layer to a graph. They know kernels and shapes, no model and no
//! device. Tensor names come in with the specs and are used as they are.

mod adapter;
mod attention;
mod cache;
mod cross;
mod decoder;
mod embed;
mod encoder;
mod linear;
mod norm;
mod order;
mod patch;
mod perceiver;
mod pool;
mod positions;
mod regions;
mod resampler;
mod rope;
mod source;
mod splice;

pub use adapter::{AdapterRows, LayerAdapters, LowRank, adapted_layer};
pub use attention::{CrossAttention, SelfAttention, Spans};
pub use cache::{CacheType, KvCache, cache_names};
pub use cross::{CrossCache, CrossFlow, CrossLayer, cross_keys, cross_layer, cross_names};
pub use decoder::{DecoderLayer, Flow, Layer, NormedQkv, Qkv, apply_layer, decoder_layer};
pub use embed::TokenTable;
pub use encoder::{EncoderFlow, EncoderLayer, EncoderRope, Mlp, encoder_layer};
pub use linear::{Linear, two_layer};
pub use norm::Norm;
pub use order::PatchOrder;
pub use patch::PatchEmbedding;
pub use perceiver::{Perceiver, PerceiverLayer};
pub use pool::{AttentionPool, mean_rows};
pub use positions::{Rows, bicubic_rows, place_codes, resampled_rows, same_rows, sincos_rows};
pub use regions::{Gathered, Grid, Region, equal_regions, region_rows, region_shape};
pub use resampler::{KeyPositions, Reach, Resampled, Resampler};
pub use rope::{AxialFrequencies, AxialRope, RopeScaling, RopeSpec, log_scaled, rope_table, rope_table_for};
pub use source::Part;
pub use splice::{gather, splice};
