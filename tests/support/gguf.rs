//! GGUF files written from safetensors checkpoints, under the names and in the layouts of llama.cpp's converters.

use super::Golden;
use omma::DType;
use omma::checkpoint::{Checkpoint, Directory, MemoryFiles, TensorBytes, encode_safetensors};
use pollster::block_on;

/// A file in the making.
#[derive(Default)]
pub struct Writer {
    keys: Vec<u8>,
    key_count: u64,
    pub tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

impl Writer {
    fn key(&mut self, key: &str, kind: u32, value: &[u8]) -> &mut Self {
        self.keys.extend(text(key));
        self.keys.extend(kind.to_le_bytes());
        self.keys.extend(value);
        self.key_count += 1;
        self
    }
    pub fn number(&mut self, key: &str, value: usize) -> &mut Self {
        self.key(key, 4, &(value as u32).to_le_bytes())
    }
    pub fn float(&mut self, key: &str, value: f32) -> &mut Self {
        self.key(key, 6, &value.to_le_bytes())
    }
    pub fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key, 7, &[u8::from(value)])
    }
    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key, 8, &text(value))
    }
    pub fn texts(&mut self, key: &str, values: &[String]) -> &mut Self {
        let mut bytes = [&8u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        values.iter().for_each(|value| bytes.extend(text(value)));
        self.key(key, 9, &bytes)
    }
    pub fn numbers(&mut self, key: &str, values: &[u32]) -> &mut Self {
        let mut bytes = [&4u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.key(key, 9, &bytes)
    }
    pub fn floats(&mut self, key: &str, values: &[f32]) -> &mut Self {
        let mut bytes = [&6u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.key(key, 9, &bytes)
    }
    pub fn tensor(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> &mut Self {
        self.tensors.push((name.into(), shape.to_vec(), values));
        self
    }
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = b"GGUF".to_vec();
        all.extend(3u32.to_le_bytes());
        all.extend((self.tensors.len() as u64).to_le_bytes());
        all.extend(self.key_count.to_le_bytes());
        all.extend(&self.keys);
        let mut offset = 0u64;
        for (name, shape, values) in &self.tensors {
            all.extend(text(name));
            all.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|axis| all.extend((*axis as u64).to_le_bytes()));
            all.extend(0u32.to_le_bytes());
            all.extend(offset.to_le_bytes());
            offset += (4 * values.len() as u64).next_multiple_of(32);
        }
        for (_, _, values) in &self.tensors {
            all.resize(all.len().next_multiple_of(32), 0);
            values.iter().for_each(|value| all.extend(value.to_le_bytes()));
        }
        all.resize(all.len().next_multiple_of(32), 0);
        all
    }
}

/// A golden case of LLaVA 1.5 to be written.
pub struct Source {
    checkpoint: Checkpoint,
    config: serde_json::Value,
}

impl Source {
    pub fn new(golden: &Golden) -> Self {
        let checkpoint = block_on(Checkpoint::open(&Directory::open(&golden.folder).unwrap())).unwrap();
        let config = std::fs::read(golden.folder.join("config.json")).unwrap();
        Self { checkpoint, config: serde_json::from_slice(&config).unwrap() }
    }
    /// Width of the decoder.
    pub fn width(&self) -> usize {
        self.number("/text_config/hidden_size")
    }
    /// The case as a folder with other keys in config.json, another preprocessor_config.json and one more vector.
    pub fn folder(
        &self,
        config: serde_json::Value,
        preprocessor: serde_json::Value,
        (name, vector): (&str, &[f32]),
    ) -> MemoryFiles {
        let mut all = self.config.clone();
        config.as_object().unwrap().iter().for_each(|(key, value)| all[key] = value.clone());
        let values: Vec<Vec<f32>> =
            self.checkpoint.entries().iter().map(|e| block_on(self.checkpoint.load_f32(&e.name)).unwrap()).collect();
        let shape = [vector.len()];
        let mut tensors =
            vec![TensorBytes { name, dtype: DType::F32, shape: &shape, bytes: bytemuck::cast_slice(vector) }];
        for (entry, values) in self.checkpoint.entries().iter().zip(&values) {
            let bytes = bytemuck::cast_slice(values);
            tensors.push(TensorBytes { name: &entry.name, dtype: DType::F32, shape: &entry.shape, bytes });
        }
        MemoryFiles::new("a folder")
            .with("config.json", all.to_string().into_bytes())
            .with("preprocessor_config.json", preprocessor.to_string().into_bytes())
            .with("model.safetensors", encode_safetensors(&tensors, &Default::default()).unwrap())
    }
    fn number(&self, path: &str) -> usize {
        self.config.pointer(path).unwrap().as_u64().unwrap() as usize
    }
    fn copy(&self, to: &mut Writer, name: &str, from: &str) {
        let values = block_on(self.checkpoint.load_f32(from)).unwrap();
        to.tensor(name, &self.checkpoint.find(from).unwrap().shape, values);
    }
    /// Rows of q or k in the order in which neighbours are pairs.
    fn copy_paired(&self, to: &mut Writer, name: &str, from: &str, heads: usize) {
        let shape = &self.checkpoint.find(from).unwrap().shape;
        let (values, half) = (block_on(self.checkpoint.load_f32(from)).unwrap(), shape[0] / heads / 2);
        let row = |r: usize| {
            let (head, i) = (r / (2 * half), r % (2 * half));
            let source = head * 2 * half + i % 2 * half + i / 2;
            values[source * shape[1]..][..shape[1]].to_vec()
        };
        to.tensor(name, shape, (0..shape[0]).flat_map(row).collect());
    }

    /// The decoder.
    pub fn decoder(&self) -> Writer {
        self.decoder_of("llama")
    }
    /// The decoder under the name of an architecture, with the tokens that other models have for pictures.
    pub fn decoder_of(&self, architecture: &str) -> Writer {
        let mut to = Writer::default();
        let of = |key: &str| self.number(&format!("/text_config/{key}"));
        let mut tokens: Vec<String> = (0..of("vocab_size")).map(|i| format!("t{i}")).collect();
        tokens[self.number("/image_token_index")] = "<image>".into();
        for (id, token) in ["<IMG_CONTEXT>", "[IMG]", "<|image_pad|>"].iter().enumerate() {
            tokens[id + 3] = (*token).into();
        }
        let key = |name: &str| format!("{architecture}.{name}");
        to.text("general.architecture", architecture)
            .number(&key("block_count"), of("num_hidden_layers"))
            .number(&key("embedding_length"), of("hidden_size"))
            .number(&key("feed_forward_length"), of("intermediate_size"))
            .number(&key("attention.head_count"), of("num_attention_heads"))
            .number(&key("attention.head_count_kv"), of("num_key_value_heads"))
            .number(&key("attention.key_length"), of("head_dim"))
            .number(&key("attention.value_length"), of("head_dim"))
            .number(&key("rope.dimension_count"), of("head_dim"))
            .number(&key("context_length"), of("max_position_embeddings"))
            .float(&key("attention.layer_norm_rms_epsilon"), 1e-5)
            .text("tokenizer.ggml.model", "no_vocab")
            .texts("tokenizer.ggml.tokens", &tokens);
        let front = "language_model.model";
        self.copy(&mut to, "token_embd.weight", &format!("{front}.embed_tokens.weight"));
        self.copy(&mut to, "output_norm.weight", &format!("{front}.norm.weight"));
        self.copy(&mut to, "output.weight", "language_model.lm_head.weight");
        for layer in 0..of("num_hidden_layers") {
            let at = |name: &str| format!("{front}.layers.{layer}.{name}.weight");
            let named = |name: &str| format!("blk.{layer}.{name}.weight");
            for (to_name, from) in [
                ("attn_norm", "input_layernorm"),
                ("attn_v", "self_attn.v_proj"),
                ("attn_output", "self_attn.o_proj"),
                ("ffn_norm", "post_attention_layernorm"),
                ("ffn_gate", "mlp.gate_proj"),
                ("ffn_up", "mlp.up_proj"),
                ("ffn_down", "mlp.down_proj"),
            ] {
                self.copy(&mut to, &named(to_name), &at(from));
            }
            self.copy_paired(&mut to, &named("attn_q"), &at("self_attn.q_proj"), of("num_attention_heads"));
            self.copy_paired(&mut to, &named("attn_k"), &at("self_attn.k_proj"), of("num_key_value_heads"));
        }
        to
    }

    /// Tower and projector; `old` writers swap the names of the two matrices of an MLP.
    pub fn pictures(&self, old: bool) -> Writer {
        let mut to = Writer::default();
        let of = |key: &str| self.number(&format!("/vision_config/{key}"));
        // The last layer is left out: nothing looks at it.
        let layers = of("num_hidden_layers") - 1;
        to.text("general.architecture", "clip")
            .flag("clip.has_vision_encoder", true)
            .flag("clip.has_llava_projector", true)
            .flag("clip.use_gelu", false)
            .number("clip.vision.image_size", of("image_size"))
            .number("clip.vision.patch_size", of("patch_size"))
            .number("clip.vision.embedding_length", of("hidden_size"))
            .number("clip.vision.feed_forward_length", of("intermediate_size"))
            .number("clip.vision.attention.head_count", of("num_attention_heads"))
            .float("clip.vision.attention.layer_norm_epsilon", 1e-5)
            .number("clip.vision.block_count", layers)
            .floats("clip.vision.image_mean", &[0.5, 0.5, 0.5])
            .floats("clip.vision.image_std", &[0.5, 0.5, 0.5]);
        let tower = "vision_tower.vision_model";
        self.copy(&mut to, "v.class_embd", &format!("{tower}.embeddings.class_embedding"));
        self.copy(&mut to, "v.patch_embd.weight", &format!("{tower}.embeddings.patch_embedding.weight"));
        self.copy(&mut to, "v.position_embd.weight", &format!("{tower}.embeddings.position_embedding.weight"));
        let both = |to: &mut Writer, name: &str, from: &str| {
            ["weight", "bias"].iter().for_each(|end| self.copy(to, &format!("{name}.{end}"), &format!("{from}.{end}")));
        };
        both(&mut to, "v.pre_ln", &format!("{tower}.pre_layrnorm"));
        let [first, second] = if old { ["ffn_down", "ffn_up"] } else { ["ffn_up", "ffn_down"] };
        for layer in 0..layers {
            for (name, from) in [
                ("ln1", "layer_norm1"),
                ("ln2", "layer_norm2"),
                ("attn_q", "self_attn.q_proj"),
                ("attn_k", "self_attn.k_proj"),
                ("attn_v", "self_attn.v_proj"),
                ("attn_out", "self_attn.out_proj"),
                (first, "mlp.fc1"),
                (second, "mlp.fc2"),
            ] {
                both(&mut to, &format!("v.blk.{layer}.{name}"), &format!("{tower}.encoder.layers.{layer}.{from}"));
            }
        }
        both(&mut to, "mm.0", "multi_modal_projector.linear_1");
        both(&mut to, "mm.2", "multi_modal_projector.linear_2");
        to
    }
}
