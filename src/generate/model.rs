//! A model: its files read, its checkpoint checked, its weights on a device.

use super::cache::fingerprint;
use super::load::{LoadOptions, load_weights};
use crate::blocks::CacheType;
use crate::checkpoint::{Checkpoint, Config, Files};
use crate::gpu::Device;
use crate::graph::{Graph, Store};
use crate::image::tiles::{CheckpointFiles, Processor};
use crate::kernels::TensorType;
use crate::models::{
    Assembly, DecodeShape, Dtypes, PromptForm, Spec, TowerInputs, UniformDtype, cross_graph, decode_graph,
    encode_graph, features_graph, read_spec, score_graph, text_graph,
};
use crate::quant::{Encoding, WeightFormat};
use crate::text::{ChatTemplate, TemplateSources, Tokenizer};
use crate::{DType, Error, Result};
use std::collections::BTreeMap;

/// What the files of a checkpoint directory say, weights aside.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    /// config.json
    pub config: Config,
    /// generation_config.json
    pub generation: Option<Config>,
    /// tokenizer.json with its companions.
    pub tokenizer: Option<Tokenizer>,
    /// Chat template.
    pub template: Option<ChatTemplate>,
    /// What preprocessor_config.json and its companions do to pictures, for models with a picture tower.
    pub processor: Option<Processor>,
    /// The token that stands for a picture in a prompt.
    pub image_text: String,
}

impl ModelFiles {
    /// Reads them.
    ///
    /// Errors: a missing config.json, malformed files, options that are not supported.
    pub async fn read(files: &dyn Files) -> Result<Self> {
        let config = Config::need(files, "config.json").await?;
        Self::with_config(files, config).await
    }
    /// [`ModelFiles::read`] with another configuration than config.json.
    pub async fn with_config(files: &dyn Files, config: Config) -> Result<Self> {
        let read = async |name: &str| files.read(name).await;
        let tokenizer_config = read("tokenizer_config.json").await?;
        let special = read("special_tokens_map.json").await?;
        let companions = [tokenizer_config.as_deref(), special.as_deref()];
        let tokenizer = Self::tokenizer(files, &config, companions).await?;
        let (jinja, json) = (read("chat_template.jinja").await?, read("chat_template.json").await?);
        let template = ChatTemplate::from_bytes(TemplateSources {
            jinja: jinja.as_deref(),
            json: json.as_deref(),
            tokenizer_config: tokenizer_config.as_deref(),
            special_tokens_map: special.as_deref(),
        })?;
        let processor = Config::load(files, "processor_config.json").await?;
        let image_text = processor.as_ref().map(|c| c.string("image_token", "")).transpose()?.unwrap_or_default();
        let processor = Self::processor(files, &config).await?;
        let generation = Config::load(files, "generation_config.json").await?;
        Ok(Self { config, generation, tokenizer, template, processor, image_text })
    }
    /// tokenizer.json, or the vocabulary of Qwen's own code.
    async fn tokenizer(files: &dyn Files, config: &Config, of: [Option<&[u8]>; 2]) -> Result<Option<Tokenizer>> {
        if let Some(bytes) = files.read("tokenizer.json").await? {
            return Tokenizer::from_bytes(&bytes, of[0], of[1]).map(Some);
        }
        let Some(bytes) = files.read("qwen.tiktoken").await? else { return Ok(None) };
        Tokenizer::from_tiktoken(&bytes, config.has("visual"), of[0], of[1]).map(Some)
    }
    async fn processor(files: &dyn Files, config: &Config) -> Result<Option<Processor>> {
        let text = async |name: &'static str| -> Result<Option<String>> {
            let bytes = files.read(name).await?;
            bytes.map(|b| String::from_utf8(b).map_err(|e| Error::malformed(name, e.to_string()))).transpose()
        };
        let (main, other) = (text("preprocessor_config.json").await?, text("processor_config.json").await?);
        let config = config.value().to_string();
        let stated = main.is_some() || other.as_ref().is_some_and(|t| t.contains("image_processor\""));
        if !stated && !CheckpointFiles::is_enough(&config) {
            return Ok(None);
        }
        let texts =
            CheckpointFiles { config: Some(&config), preprocessor: main.as_deref(), processor: other.as_deref() };
        Processor::of_checkpoint(&texts).map(Some)
    }
    /// The placeholder of pictures: what the processor states, else the token of the model's id for picture rows.
    fn name_image(&mut self, spec: &Spec) {
        if self.image_text.is_empty() {
            let token = spec.image_token.and_then(|id| self.tokenizer.as_ref()?.id_to_token(id));
            self.image_text = token.unwrap_or_else(|| "<image>".to_owned());
        }
    }
    /// Token ids that end an answer: of generation_config.json, else of the model.
    pub fn eos(&self, spec: &Spec) -> Result<Vec<u32>> {
        let ids: Vec<usize> = match &self.generation {
            Some(config) => config.one_or_list("eos_token_id")?,
            None => Vec::new(),
        };
        let mut ids = if ids.is_empty() { spec.eos.clone() } else { ids.into_iter().map(|id| id as u32).collect() };
        if self.chat_format()?.as_deref() == Some("chatml") {
            let marks = ["<|im_end|>", "<|im_start|>"].into_iter();
            ids.extend(marks.filter_map(|mark| self.tokenizer.as_ref()?.token_to_id(mark)));
        }
        Ok(ids)
    }
    /// How the first Qwen's code writes conversations: `chatml`, or `raw` for texts as they are.
    fn chat_format(&self) -> Result<Option<String>> {
        self.generation.as_ref().map_or(Ok(None), |config| config.optional("chat_format"))
    }
    /// What the files beside config.json say of a model.
    fn settle(&mut self, spec: &mut Spec) -> Result<()> {
        if self.chat_format()?.as_deref() == Some("raw") {
            spec.prompt = PromptForm { picture: spec.prompt.picture, ..PromptForm::NONE };
        }
        if let (None, Some(token)) = (spec.image_token, spec.image_text) {
            spec.image_token = self.tokenizer.as_ref().and_then(|tokenizer| tokenizer.token_to_id(token));
        }
        self.name_image(spec);
        Ok(())
    }
    /// Id of padding: of generation_config.json, else of the model or tokenizer.
    pub fn pad(&self, spec: &Spec) -> Result<Option<u32>> {
        let stated = match &self.generation {
            Some(config) => config.optional::<usize>("pad_token_id")?.map(|id| id as u32),
            None => None,
        };
        Ok(stated.or(spec.pad).or_else(|| self.tokenizer.as_ref().and_then(Tokenizer::pad_id)))
    }
    /// The tokenizer, which a prompt needs.
    pub fn need_tokenizer(&self) -> Result<&Tokenizer> {
        self.tokenizer.as_ref().ok_or_else(|| Error::Io {
            path: "tokenizer.json".into(),
            reason: "is not in the checkpoint; a prompt needs it (a tokenizer.model alone is not read: transformers' \
                     AutoTokenizer saves it as tokenizer.json)"
                .into(),
        })
    }
}

/// How to open a model.
#[derive(Debug, Clone)]
pub struct OpenModel {
    /// Activations: f32, or f16 where the device has it.
    pub compute: DType,
    /// Keeps matrices in this format instead of the checkpoint's. What is no matrix stays a float, and so do matrices whose
    /// rows are no whole blocks of the format.
    pub weights: Option<Encoding>,
    /// Tensor names of the checkpoint -> other names, before the family's own rules.
    pub renames: BTreeMap<String, String>,
    /// Replaces config.json.
    pub config: Option<Config>,
    /// Rounds the rotary frequencies to this type. `from_pretrained` of the reference keeps them in f32 whatever
    /// the weights are; a model converted whole, by `model.half()` or `.bfloat16()`, has them rounded.
    pub rotary: Option<DType>,
}

impl Default for OpenModel {
    fn default() -> Self {
        Self { compute: DType::F32, weights: None, renames: BTreeMap::new(), config: None, rotary: None }
    }
}

/// What the engine keeps the tensors of a checkpoint in.
pub(super) struct CheckpointDtypes<'c> {
    pub(super) checkpoint: &'c Checkpoint,
    pub(super) weights: Option<Encoding>,
}

impl Dtypes for CheckpointDtypes<'_> {
    fn of(&self, tensor: &str) -> WeightFormat {
        let entry = self.checkpoint.find(tensor);
        let float = match entry.map(|e| e.dtype) {
            Some(dtype @ (DType::F16 | DType::BF16)) => dtype,
            _ => DType::F32,
        };
        match (self.weights, entry.and_then(|e| e.packed.as_ref())) {
            (Some(weights), _) => weights.format(float),
            (None, Some(packed)) => WeightFormat::Packed(packed.packing),
            (None, None) => WeightFormat::Float(float),
        }
    }
}

/// A model on a device. Shared by sessions; Send and Sync.
#[derive(Debug)]
pub struct Model {
    /// Files.
    pub files: ModelFiles,
    /// What it is made of.
    pub spec: Spec,
    /// Its device.
    pub device: Device,
    /// Its weights.
    pub weights: Store,
    /// Type of activations.
    pub compute: DType,
    /// Tells its features from those of other models, for caches of encoded pictures.
    pub(super) fingerprint: Option<[u8; 32]>,
}

impl Model {
    /// Reads files, checks the checkpoint and loads all weights.
    pub async fn load(device: &Device, files: &dyn Files, open: OpenModel, load: LoadOptions<'_>) -> Result<Self> {
        let read = match open.config {
            Some(config) => ModelFiles::with_config(files, config).await?,
            None => ModelFiles::read(files).await?,
        };
        // The family's name rules come with the spec, the spec's types with the renamed checkpoint.
        let scheme = read_spec(&read.config, &UniformDtype(DType::F32))?.scheme;
        let checkpoint = Checkpoint::open(files).await?.quantized_by(&read.config).await?;
        let checkpoint = if open.renames.is_empty() { checkpoint } else { checkpoint.with_renames(&open.renames)? };
        let checkpoint = checkpoint.canonical(scheme)?;
        let dtypes = CheckpointDtypes { checkpoint: &checkpoint, weights: open.weights };
        let mut spec = read_spec(&read.config, &dtypes)?;
        let mut read = read;
        read.settle(&mut spec)?;
        tie(&mut spec, &checkpoint, &read.config)?;
        if let Some(decoder) = &mut spec.decoder {
            decoder.rope.rounded = open.rotary;
        }
        let wanted = weight_list(&spec, open.compute)?;
        let mut weights = Store::new();
        let load = LoadOptions { encoding: open.weights, ..load };
        load_weights(device, &checkpoint, &wanted, &mut weights, load).await?;
        let fingerprint = fingerprint(&checkpoint, &read.config, &picture_weights(&spec, open.compute)?).await?;
        let (device, compute) = (device.clone(), open.compute);
        Ok(Self { files: read, spec, device, weights, compute, fingerprint })
    }
}

/// Takes the token table for a missing output layer where the whole model ties them: later configurations say it there alone.
fn tie(spec: &mut Spec, checkpoint: &Checkpoint, config: &Config) -> Result<()> {
    let Some(decoder) = &mut spec.decoder else { return Ok(()) };
    let missing = checkpoint.find(&decoder.head.weight).is_none() && checkpoint.find(&decoder.table).is_some();
    if missing && config.bool("tie_word_embeddings", false)? {
        (decoder.head.weight, decoder.head.dtype) = (decoder.table.clone(), decoder.dtype);
    }
    Ok(())
}

/// Names of the weights that pictures go through.
fn picture_weights(spec: &Spec, compute: DType) -> Result<Vec<String>> {
    let Some(tower) = &spec.vision else { return Ok(Vec::new()) };
    let graph = encode_graph(spec, &TowerInputs::one(tower), true, compute)?;
    Ok(graph.weights().map(|(name, _)| name.to_owned()).collect())
}

/// Weights of all programs of a model, each once.
pub(crate) fn weight_list(spec: &Spec, compute: DType) -> Result<Vec<(String, TensorType)>> {
    let mut graphs: Vec<Graph> = Vec::new();
    if let Some(tower) = &spec.vision {
        let one = TowerInputs::one(tower);
        graphs.push(encode_graph(spec, &one, true, compute)?);
        if spec.connector.is_some() {
            graphs.push(features_graph(spec, &Assembly::new(spec, &one)?, compute)?);
        }
    }
    if spec.text.is_some() {
        graphs.push(text_graph(spec, &[1], compute)?);
    }
    if spec.contrast.is_some() {
        graphs.push(score_graph(spec, 1, 1, compute)?);
    }
    if let Some(decoder) = &spec.decoder {
        let cross_rows = decoder.cross.map_or(0, |cross| cross.tile_rows);
        if cross_rows > 0 {
            graphs.push(cross_graph(spec, cross_rows, (1, cross_rows), CacheType::of(compute))?);
        }
        let shape = DecodeShape { cache: (1, 8), max_new: 1, splits: 1, cross_rows };
        graphs.push(decode_graph(spec, &shape, CacheType::of(compute))?);
    }
    let mut list: Vec<(String, TensorType)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for graph in &graphs {
        for (name, ty) in graph.weights() {
            if seen.insert(name.to_owned()) {
                list.push((name.to_owned(), ty.clone()));
            }
        }
    }
    Ok(list)
}
