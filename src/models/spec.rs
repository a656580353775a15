//! What a model is made of, as plain data.

use crate::DType;
use crate::blocks::{
    AttentionPool, AxialRope, EncoderLayer, Layer, LayerAdapters, Linear, Mlp, Norm, PatchEmbedding, PatchOrder,
    Perceiver, Qkv, Resampler, RopeSpec, TokenTable,
};
use crate::kernels::{Act, WeightFormat};

/// What the weights of a checkpoint are kept in.
pub trait Dtypes {
    /// Format of a tensor.
    fn of(&self, tensor: &str) -> WeightFormat;
}

/// All tensors have one type: a plan from config.json alone.
#[derive(Debug, Clone, Copy)]
pub struct UniformDtype(pub DType);

impl Dtypes for UniformDtype {
    fn of(&self, _: &str) -> WeightFormat {
        self.0.into()
    }
}

/// All matrices are kept in one format.
#[derive(Debug, Clone, Copy)]
pub struct UniformFormat(pub WeightFormat);

impl Dtypes for UniformFormat {
    fn of(&self, _: &str) -> WeightFormat {
        self.0
    }
}

/// How the patches of a tower know where they stand.
#[derive(Debug, Clone, PartialEq)]
pub enum Positions {
    /// A learned table \[prefix + side * side, width\] of the trained square, interpolated to other grids by torch's
    /// bicubic filter (`align_corners=False`, no antialias).
    Table(String),
    /// A learned table \[side * side, width\] of the trained square, interpolated to other grids by the bicubic filter with
    /// antialias, as timm resamples it.
    Resampled(String),
    /// They do not: the decoder sees their order.
    None,
    /// A learned table \[side * side, width\] of which every patch takes the row of its place as a part of the height
    /// and of the width: patch i of n takes row `floor(i * side / n)` (NaViT; Idefics 2 and 3).
    Fractions(String),
    /// Nothing is added; queries and keys of every layer turn by row and column.
    Rotary(AxialRope),
    /// Tables by tile and aspect ratio; the tiles of a picture see each other.
    Tiled(Box<Tiled>),
}

/// What a tower has whose inputs, the tiles of a picture, see each other (Llama 3.2 Vision).
#[derive(Debug, Clone, PartialEq)]
pub struct Tiled {
    /// Tiles that a picture has room for; those that it does not fill are black, and seen as well.
    pub tiles: usize,
    /// Tokens of a tile, the class row first.
    pub tokens: usize,
    /// Grids of tiles (rows, columns) that have positions. Those of grid i stand under i + 1 in the tables by ratio.
    pub grids: Vec<(usize, usize)>,
    /// Positions of the tokens of a tile \[tokens, width\].
    pub table: String,
    /// Positions of the tokens of all tiles \[ratios * tiles * tokens, width\].
    pub tile_table: String,
    /// Type that `tile_table` is kept in.
    pub dtype: DType,
    /// Gate between the two tables \[1\]: its hyperbolic tangent is the share of the second.
    pub gate: String,
    /// Positions of tiles \[ratios * tiles, width\] and their gate \[1\], added to patches before the class rows are there.
    pub before: [String; 2],
    /// The same, added to all rows after the norm behind the layers.
    pub after: [String; 2],
    /// Layers after that.
    pub global: Vec<EncoderLayer>,
    /// Layers of the tower whose results stand beside that of the last global layer.
    pub picked: Vec<usize>,
}

/// A picture tower of the ViT kind.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionTower {
    /// Put before the stage names: `""` or `"vision."`.
    pub stage: &'static str,
    /// Patch embedding.
    pub patch: PatchEmbedding,
    /// Side of the pictures it was trained on, in pixels; of a usual one where it was trained on all sizes.
    pub image_size: usize,
    /// Tensors of the rows before the patches: class token, distillation token.
    pub prefix: Vec<String>,
    /// How patches know where they stand.
    pub positions: Positions,
    /// In which order the patches of an input run.
    pub order: PatchOrder,
    /// Norm before the first layer.
    pub pre_norm: Option<Norm>,
    /// Layers.
    pub layers: Vec<EncoderLayer>,
    /// Adapters of every layer, by tile; empty where tiles share all weights.
    pub adapters: Vec<LayerAdapters>,
    /// Norm after the last layer.
    pub post_norm: Option<Norm>,
}

impl VisionTower {
    /// Rows and columns of patches of a picture of `height` x `width` pixels.
    pub fn grid(&self, (height, width): (usize, usize)) -> (usize, usize) {
        (height / self.patch.patch, width / self.patch.patch)
    }
    /// Tokens of an input, prefix included.
    pub fn tokens(&self, size: (usize, usize)) -> usize {
        let (rows, cols) = self.grid(size);
        let side = self.order.merge.max(1);
        rows / side * side * (cols / side * side) + self.prefix.len()
    }
}

/// What a classification head reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadRows {
    /// This row of the prefix.
    Prefix(usize),
    /// The first row beside the mean of the patches (DINOv2).
    FirstAndMean,
}

/// A classification head.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassHead {
    /// Stage name of its logits.
    pub stage: String,
    /// What it reads.
    pub rows: HeadRows,
    /// Its layer.
    pub layer: Linear,
}

/// Classification heads; the logits of several are averaged (DeiT).
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    /// Heads.
    pub heads: Vec<ClassHead>,
    /// Labels by class.
    pub labels: Vec<String>,
}

/// The row that stands for a picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Pooler {
    /// The first row, through the tower's last norm (CLIP).
    FirstNormed,
    /// The first row of all that went through the tower's last norm (DINOv2).
    First,
    /// Attention over all rows, which went through the tower's last norm (SigLIP).
    Attention(Box<AttentionPool>),
}

/// Which hidden states feed the connector.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSelect {
    /// Indices into the hidden states (0 = what enters layer 0, one beyond the last layer = what leaves the last norm),
    /// from the front; several are put side by side.
    pub layers: Vec<usize>,
    /// Rows of the prefix are dropped.
    pub drop_prefix: bool,
}

/// From picture features to the decoder's width.
#[derive(Debug, Clone, PartialEq)]
pub struct Connector {
    /// Which hidden states.
    pub select: FeatureSelect,
    /// What is done to them.
    pub bridge: Bridge,
}

/// Adds to each query of a slice the projected code of its place on the whole picture ([`crate::blocks::place_codes`]). An
/// overview of a picture in slices has no place.
#[derive(Debug, Clone, PartialEq)]
pub struct Placing {
    /// From a code to the decoder's width.
    pub proj: Linear,
    /// Queries of an input are a square of so many rows and columns.
    pub side: usize,
}

/// The kinds of connector.
#[derive(Debug, Clone, PartialEq)]
pub enum Bridge {
    /// Row by row: linear layers with an activation between.
    Mlp(Projector),
    /// Squares of patches side by side, then linear layers.
    Merger(Merger),
    /// Learned queries that attend to the patches of an input (LLaVA-UHD).
    Resampler(Box<Resampler>),
    /// An MLP on every patch, then latents of a fixed number that attend to them (Idefics 2).
    Perceiver {
        /// MLP to the width of the latents.
        projection: Mlp,
        /// Latents and layers.
        perceiver: Perceiver,
    },
}

impl Bridge {
    /// Features of an input whose grid has so many (rows, columns) of patches and `prefix` kept rows before them.
    pub fn features(&self, grid: (usize, usize), prefix: usize) -> usize {
        match self {
            Self::Mlp(_) => grid.0 * grid.1 + prefix,
            Self::Merger(m) => (grid.0 / m.side) * (grid.1 / m.side),
            Self::Perceiver { perceiver, .. } => perceiver.count,
            Self::Resampler(resampler) => resampler.queries(),
        }
    }
    /// Widest activation.
    pub fn widest(&self) -> usize {
        match self {
            Self::Mlp(p) => p.widest(),
            Self::Merger(m) => m.merging.iter().map(|l| l.n.max(l.k)).chain([m.projector.widest()]).max().unwrap_or(0),
            // Regions of a released LLaVA-UHD repeat patches, up to twice.
            Self::Resampler(resampler) => 2 * resampler.attention.out.n,
            Self::Perceiver { projection, perceiver } => {
                let layers = perceiver.layers.iter().map(|l| l.mlp.inner().max(l.kv.n).max(l.q.n));
                layers.chain([projection.inner()]).max().unwrap_or(0)
            }
        }
    }
}

/// Squares of patches become one feature each (Qwen2-VL, Mistral 3; pixel shuffle of InternVL and Idefics 3). Rows and columns that fill no square are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Merger {
    /// Side of a square in patches.
    pub side: usize,
    /// Norm of every patch before.
    pub norm: Option<Norm>,
    /// A layer before the projector whose columns run \[width, side * side\], where the projector's own would run
    /// \[side * side, width\].
    pub merging: Option<Linear>,
    /// What is done to the features.
    pub projector: Projector,
}

/// Linear layers on every row.
#[derive(Debug, Clone, PartialEq)]
pub struct Projector {
    /// Norm on the selected features (ViP-LLaVA).
    pub norm: Option<Norm>,
    /// Layers, each followed by its norm (Yi-VL) if it has one, with the activation between layers.
    pub layers: Vec<(Linear, Option<Norm>)>,
    /// Activation.
    pub act: Act,
}

impl Projector {
    /// Widest activation.
    pub fn widest(&self) -> usize {
        self.layers.iter().map(|(l, _)| l.n.max(l.k)).max().unwrap_or(0)
    }
}

/// Which row stands for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The row of the largest id: CLIP checkpoints whose eos_token_id is 2.
    LargestId,
    /// The first row of this id.
    FirstOf(u32),
    /// The last row.
    Last,
}

impl Pooling {
    /// The pooled row of a text's ids; the first when none fits, as the reference's argmax has it.
    pub fn row(self, ids: &[u32]) -> usize {
        let wanted = match self {
            Self::LargestId => ids.iter().max().copied(),
            Self::FirstOf(id) => Some(id),
            Self::Last => return ids.len().saturating_sub(1),
        };
        ids.iter().position(|id| Some(*id) == wanted).unwrap_or(0)
    }
}

/// A text tower (CLIP, SigLIP).
#[derive(Debug, Clone, PartialEq)]
pub struct TextTower {
    /// Token table.
    pub table: String,
    /// Rows of the table.
    pub vocab: usize,
    /// Width.
    pub width: usize,
    /// What the table is kept in.
    pub dtype: WeightFormat,
    /// Position table.
    pub positions: String,
    /// Rows of the position table: longest text.
    pub max_positions: usize,
    /// Layers.
    pub layers: Vec<EncoderLayer>,
    /// Norm after the last layer.
    pub post_norm: Norm,
    /// Pooling.
    pub pooling: Pooling,
    /// Layer on the pooled row.
    pub head: Option<Linear>,
    /// Texts are filled up to `max_positions` with the tokenizer's padding, or this id where it has none, and the tower
    /// sees the filling as it sees the text (SigLIP).
    pub filler: Option<u32>,
}

impl TextTower {
    /// A text's ids as the tower wants them; `pad` is the tokenizer's padding.
    pub fn filled(&self, mut ids: Vec<u32>, pad: Option<u32>) -> Vec<u32> {
        if let Some(id) = self.filler {
            ids.resize(ids.len().max(self.max_positions), pad.unwrap_or(id));
        }
        ids
    }
}

/// Projections into a common space, and how scores are made of cosines (CLIP, SigLIP).
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    /// Dimensions of the common space.
    pub dim: usize,
    /// Picture projection, where the pooled row is not in the common space.
    pub image: Option<Linear>,
    /// Text projection, likewise.
    pub text: Option<Linear>,
    /// Tensor of the logarithm of the factor on the cosines.
    pub logit_scale: String,
    /// Tensor added to the scores.
    pub logit_bias: Option<String>,
}

/// A decoder of the LLaMA kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoder {
    /// Put before the stage names: `""` or `"llm."`.
    pub stage: &'static str,
    /// Token table.
    pub table: String,
    /// Rows of the table: ids that a prompt may have.
    pub table_rows: usize,
    /// Ids that may follow: logits of a row.
    pub vocab: usize,
    /// Width.
    pub width: usize,
    /// What the table is kept in.
    pub dtype: WeightFormat,
    /// Factor on the rows of the table (MiniCPM's `scale_emb`); features take their places as they are.
    pub embed_scale: Option<f32>,
    /// Layers.
    pub layers: Vec<Layer>,
    /// Norm after the last layer.
    pub norm: Norm,
    /// Factor on what the output layer takes.
    pub head_scale: Option<f32>,
    /// Output layer; its weight is the token table where they are tied.
    pub head: Linear,
    /// Rotary positions.
    pub rope: RopeSpec,
    /// Queries beyond this many tokens are multiplied by the logarithm of their place to this base (Qwen).
    pub log_base: Option<usize>,
    /// Longest context of the configuration.
    pub max_positions: usize,
    /// Features are attended to by layers of their own instead of standing among the tokens.
    pub cross: Option<Cross>,
}

/// What a decoder with cross-attention layers needs to know of its features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cross {
    /// Feature rows of a tile.
    pub tile_rows: usize,
    /// Tiles of a picture; those that it does not fill count.
    pub tiles: usize,
}

impl Decoder {
    /// The token table.
    pub fn tokens(&self) -> TokenTable<'_> {
        TokenTable { table: &self.table, vocab: self.table_rows, width: self.width, dtype: self.dtype }
    }
}

/// How a conversation is written for a checkpoint that has no chat template. Empty parts: texts as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PromptForm {
    /// Before the first turn, unless the conversation has its own system message.
    pub system: &'static str,
    /// Before and after a system message of the conversation's own.
    pub own_system: (&'static str, &'static str),
    /// Before a user's turn.
    pub user: &'static str,
    /// Before and after the placeholder of a picture; `{n}` is the picture's number in the conversation.
    pub picture: (&'static str, &'static str),
    /// After a user's turn: the answer begins here.
    pub assistant: &'static str,
    /// Before and after an earlier answer.
    pub answer: (&'static str, &'static str),
}

impl PromptForm {
    /// Texts as they are.
    pub const NONE: Self =
        Self { system: "", own_system: ("", ""), user: "", picture: ("", ""), assistant: "", answer: ("", "") };
}

/// A model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spec {
    /// `model_type` of the configuration.
    pub model_type: String,
    /// Picture tower.
    pub vision: Option<VisionTower>,
    /// Classification heads.
    pub classifier: Option<Classifier>,
    /// The row that stands for a picture, in models without decoder and classes.
    pub pooler: Option<Pooler>,
    /// Connector between tower and decoder.
    pub connector: Option<Connector>,
    /// Features know their place on the whole picture.
    pub placing: Option<Placing>,
    /// Text tower.
    pub text: Option<TextTower>,
    /// Contrastive head.
    pub contrast: Option<Contrast>,
    /// Decoder.
    pub decoder: Option<Decoder>,
    /// Id of the token that stands for a picture row in a prompt.
    pub image_token: Option<u32>,
    /// That token, where configurations do not state its id: the tokenizer knows it.
    pub image_text: Option<&'static str>,
    /// Conversations are written in the family's own form although there is a chat template, which takes texts only.
    pub own_form: bool,
    /// Learned vectors that stand between the features of pictures: the names that plans use, and their tensors
    /// \[width of the decoder\].
    pub vectors: Vec<(&'static str, String)>,
    /// Where two pictures follow one another and the last mark of one is the first of the next, it is written once.
    pub merge_marks: bool,
    /// Pictures stand before the prompt, without placeholders; a prompt with pictures ends in this token.
    pub leading: Option<&'static str>,
    /// How a conversation is written without a chat template.
    pub prompt: PromptForm,
    /// Ids that end an answer, where generation_config.json says nothing.
    pub eos: Vec<u32>,
    /// Id of padding.
    pub pad: Option<u32>,
    /// Rules from the checkpoint's tensor names to the names used here.
    pub scheme: &'static crate::checkpoint::Scheme,
}

impl Spec {
    /// Takes what stacked matrices are kept in from the checkpoint: in some of them value and key differ from query.
    pub(super) fn settle(&mut self, dtypes: &dyn Dtypes) {
        let encoders = self.vision.iter_mut().flat_map(|v| &mut v.layers);
        let encoders = encoders.chain(self.text.iter_mut().flat_map(|t| &mut t.layers));
        let mut stacked: Vec<&mut Linear> = Vec::new();
        for layer in encoders {
            stacked.push(&mut layer.qkv);
            stacked.extend(layer.mlp.stacked());
        }
        for layer in self.decoder.iter_mut().flat_map(|d| &mut d.layers) {
            let (qkv, mlp) = match layer {
                Layer::Own(layer) => (Some(&mut layer.qkv), &mut layer.mlp),
                Layer::Cross(layer) => (None, &mut layer.mlp),
            };
            if let Some(Qkv::Stacked(qkv)) = qkv {
                stacked.push(qkv);
            }
            stacked.extend(mlp.stacked());
        }
        stacked.into_iter().for_each(|layer| layer.settle(|name| dtypes.of(name)));
    }
}
