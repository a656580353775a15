//! What a model is made of, as plain data.

use crate::DType;
use crate::blocks::{DecoderLayer, EncoderLayer, Linear, Mlp, Norm, PatchEmbedding, RopeSpec, TokenTable};
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
}

/// A picture tower of the ViT kind.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionTower {
    /// Put before the stage names: `""` or `"vision."`.
    pub stage: &'static str,
    /// Patch embedding.
    pub patch: PatchEmbedding,
    /// Side of the pictures it was trained on, in pixels.
    pub image_size: usize,
    /// Tensors of the rows before the patches: class token, distillation token.
    pub prefix: Vec<String>,
    /// How patches know where they stand.
    pub positions: Positions,
    /// Norm before the first layer.
    pub pre_norm: Option<Norm>,
    /// Layers.
    pub layers: Vec<EncoderLayer>,
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
        rows * cols + self.prefix.len()
    }
}

/// Classification heads on prefix rows; several are averaged (DeiT).
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    /// `(stage name of the head's logits, prefix row, layer)`.
    pub heads: Vec<(String, usize, Linear)>,
    /// Labels by class.
    pub labels: Vec<String>,
}

/// Which hidden states feed the connector.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSelect {
    /// Indices into the hidden states (0 = what enters layer 0), from the front; several are put side by side.
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

/// The kinds of connector.
#[derive(Debug, Clone, PartialEq)]
pub enum Bridge {
    /// Row by row: linear layers with an activation between.
    Mlp(Projector),
}

impl Bridge {
    /// Features of an input whose grid has so many (rows, columns) of patches and `prefix` kept rows before them.
    pub fn features(&self, grid: (usize, usize), prefix: usize) -> usize {
        match self {
            Self::Mlp(_) => grid.0 * grid.1 + prefix,
        }
    }
    /// Widest activation.
    pub fn widest(&self) -> usize {
        match self {
            Self::Mlp(p) => p.layers.iter().map(|(l, _)| l.n.max(l.k)).max().unwrap_or(0),
        }
    }
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

/// Which row stands for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The row of the largest id: CLIP checkpoints whose eos_token_id is 2.
    LargestId,
    /// The first row of this id.
    FirstOf(u32),
}

impl Pooling {
    /// The pooled row of a text's ids; the first when none fits, as the reference's argmax has it.
    pub fn row(self, ids: &[u32]) -> usize {
        let wanted = match self {
            Self::LargestId => ids.iter().max().copied(),
            Self::FirstOf(id) => Some(id),
        };
        ids.iter().position(|id| Some(*id) == wanted).unwrap_or(0)
    }
}

/// A causal text tower (CLIP).
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
}

/// Projections into a common space and their temperature (CLIP).
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    /// Norm on the pooled picture row.
    pub image_norm: Norm,
    /// Picture projection.
    pub image: Linear,
    /// Text projection.
    pub text: Linear,
    /// Tensor of the logarithm of the logit scale.
    pub logit_scale: String,
}

/// A decoder of the LLaMA kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoder {
    /// Put before the stage names: `""` or `"llm."`.
    pub stage: &'static str,
    /// Token table.
    pub table: String,
    /// Rows of the table.
    pub vocab: usize,
    /// Width.
    pub width: usize,
    /// What the table is kept in.
    pub dtype: WeightFormat,
    /// Layers.
    pub layers: Vec<DecoderLayer>,
    /// Norm after the last layer.
    pub norm: Norm,
    /// Output layer; its weight is the token table where they are tied.
    pub head: Linear,
    /// Rotary positions.
    pub rope: RopeSpec,
    /// Longest context of the configuration.
    pub max_positions: usize,
}

impl Decoder {
    /// The token table.
    pub fn tokens(&self) -> TokenTable<'_> {
        TokenTable { table: &self.table, vocab: self.vocab, width: self.width, dtype: self.dtype }
    }
}

/// How a conversation is written for a checkpoint that has no chat template. Empty parts: texts as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PromptForm {
    /// Before the first turn, unless the conversation has its own system message.
    pub system: &'static str,
    /// Before a user's turn.
    pub user: &'static str,
    /// Before and after the placeholder of a picture.
    pub picture: (&'static str, &'static str),
    /// After a user's turn: the answer begins here.
    pub assistant: &'static str,
    /// Before and after an earlier answer.
    pub answer: (&'static str, &'static str),
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
    /// Connector between tower and decoder.
    pub connector: Option<Connector>,
    /// Text tower.
    pub text: Option<TextTower>,
    /// Contrastive head.
    pub contrast: Option<Contrast>,
    /// Decoder.
    pub decoder: Option<Decoder>,
    /// Id of the token that stands for a picture row in a prompt.
    pub image_token: Option<u32>,
    /// Learned vectors that stand between the features of pictures: the names that plans use, and their tensors
    /// \[width of the decoder\].
    pub vectors: Vec<(&'static str, String)>,
    /// Where two pictures follow one another and the last mark of one is the first of the next, it is written once.
    pub merge_marks: bool,
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
        let decoders = self.decoder.iter_mut().flat_map(|d| &mut d.layers);
        let mut stacked: Vec<&mut Linear> = Vec::new();
        for layer in encoders {
            stacked.push(&mut layer.qkv);
            if let Mlp::Gated { gate_up, .. } = &mut layer.mlp {
                stacked.push(gate_up);
            }
        }
        stacked.extend(decoders.flat_map(|layer| [&mut layer.qkv, &mut layer.gate_up]));
        stacked.into_iter().for_each(|layer| layer.settle(|name| dtypes.of(name)));
    }
}
