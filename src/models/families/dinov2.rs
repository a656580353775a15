//! DINOv2 (Oquab et al. 2023): a ViT with layer scale and, in the largest, a gated MLP. A base model gives features, one
//! with a head classifies the first row beside the mean of the patches. With registers (Darcet et al. 2024), rows without
//! positions stand between the first row and the patches.

use super::{activation, divided, layer_count, side, vit};
use crate::Result;
use crate::blocks::{EncoderLayer, Linear, Mlp, Norm, Part, PatchEmbedding, PatchOrder, SelfAttention};
use crate::checkpoint::{Config, Rule, Scheme, rule};
use crate::kernels::Act;
use crate::models::{ClassHead, Classifier, Dtypes, HeadRows, Pooler, Positions, Spec, VisionTower};

/// A base model is saved without the front.
const NAMES: &Scheme = &[FRONT];
const FRONT: &[Rule] = &[
    rule("dinov2_with_registers.", "dinov2."),
    rule("embeddings.", "dinov2.embeddings."),
    rule("encoder.", "dinov2.encoder."),
    rule("layernorm.", "dinov2.layernorm."),
];

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let width = config.usize("hidden_size", 768)?;
    let tower = tower(config, dtypes, width)?;
    let classes = config.one_or_list::<String>("architectures")?.iter().any(|a| a.ends_with("ForImageClassification"));
    if !classes {
        return Ok(Spec { vision: Some(tower), pooler: Some(Pooler::First), scheme: NAMES, ..Spec::default() });
    }
    let labels = vit::labels(config)?;
    let layer = Linear::new("classifier", labels.len(), 2 * width, true, dtypes.of("classifier.weight"));
    let heads = vec![ClassHead { stage: "logits".into(), rows: HeadRows::FirstAndMean, layer }];
    Ok(Spec { vision: Some(tower), classifier: Some(Classifier { heads, labels }), scheme: NAMES, ..Spec::default() })
}

fn tower(config: &Config, dtypes: &dyn Dtypes, width: usize) -> Result<VisionTower> {
    let heads = config.usize("num_attention_heads", 12)?;
    let shape = Shape {
        width,
        mlp: inner(config, width)?,
        gated: config.bool("use_swiglu_ffn", false)?,
        heads,
        head_dim: divided(config, "num_attention_heads", width, heads)?,
        eps: config.f64("layer_norm_eps", 1e-6)? as f32,
        act: activation(config, "hidden_act", "gelu")?,
        qkv_bias: config.bool("qkv_bias", true)?,
    };
    let registers = registers(config)?;
    let usual = if registers.is_some() { 16 } else { 14 };
    let (image_size, patch_size) = (side(config, "image_size", 224)?, side(config, "patch_size", usual)?);
    divided(config, "patch_size", image_size - image_size % patch_size.max(1), patch_size)?;
    let patch = "dinov2.embeddings.patch_embeddings.projection";
    Ok(VisionTower {
        stage: "",
        patch: PatchEmbedding {
            weight: format!("{patch}.weight"),
            bias: Some(format!("{patch}.bias")),
            width,
            channels: config.usize("num_channels", 3)?,
            patch: patch_size,
            dtype: dtypes.of(&format!("{patch}.weight")),
        },
        image_size,
        prefix: prefix(width, registers.unwrap_or(0)),
        positions: positions(width, image_size / patch_size.max(1), registers),
        order: PatchOrder::ROWS,
        pre_norm: None,
        layers: (0..layer_count(config, "num_hidden_layers", 12)?).map(|i| shape.layer(i, dtypes)).collect(),
        adapters: Vec::new(),
        post_norm: Some(Norm::Layer { name: "dinov2.layernorm".into(), eps: shape.eps }),
    })
}

/// Registers of the later kind, which has none at least.
fn registers(config: &Config) -> Result<Option<usize>> {
    if config.string("model_type", "")? != "dinov2_with_registers" {
        return Ok(None);
    }
    match config.usize("num_register_tokens", 4)? {
        count if count <= 1024 => Ok(Some(count)),
        count => Err(config.broken("num_register_tokens", format!("{count} registers"))),
    }
}

/// Rows before the patches.
fn prefix(width: usize, registers: usize) -> Vec<String> {
    let name = "dinov2.embeddings.register_tokens";
    let register = |i: usize| Part::Elements { name, first: i * width, count: width }.to_string();
    ["dinov2.embeddings.cls_token".to_owned()].into_iter().chain((0..registers).map(register)).collect()
}

/// A table; with registers, which have no positions in it, other grids are resampled with antialias.
fn positions(width: usize, side: usize, registers: Option<usize>) -> Positions {
    let name = "dinov2.embeddings.position_embeddings";
    let Some(count) = registers else { return Positions::Table(name.into()) };
    if count == 0 {
        return Positions::Resampled(name.into());
    }
    let first = Part::Elements { name, first: 0, count: width };
    let patches = Part::Elements { name, first: width, count: side * side * width };
    Positions::Resampled([first, Part::Zeros(count * width), patches].map(|part| part.to_string()).join("+"))
}

/// Width inside the MLP. A gated one has two thirds of it, up to the next multiple of 8.
fn inner(config: &Config, width: usize) -> Result<usize> {
    let ratio = config.f64("mlp_ratio", 4.0)?;
    let plain = (width as f64 * ratio) as usize;
    if !(ratio > 0.0 && plain > 0 && plain < 1 << 24) {
        return Err(config.broken("mlp_ratio", format!("{ratio} of {width}")));
    }
    if !config.bool("use_swiglu_ffn", false)? {
        return Ok(plain);
    }
    Ok(((plain as f64 * 2.0 / 3.0) as usize).next_multiple_of(8))
}

struct Shape {
    width: usize,
    mlp: usize,
    gated: bool,
    heads: usize,
    head_dim: usize,
    eps: f32,
    act: Act,
    qkv_bias: bool,
}

impl Shape {
    fn layer(&self, i: usize, dtypes: &dyn Dtypes) -> EncoderLayer {
        let Self { width, mlp, heads, head_dim, eps, act, .. } = *self;
        let at = format!("dinov2.encoder.layer.{i}");
        let norm = |name: &str| Norm::Layer { name: format!("{at}.{name}"), eps };
        let linear = |name: &str, n, k| {
            let name = format!("{at}.{name}");
            Linear::new(&name, n, k, true, dtypes.of(&format!("{name}.weight")))
        };
        let qkv = ["query", "key", "value"].map(|p| (format!("{at}.attention.attention.{p}"), width, self.qkv_bias));
        let dtype = dtypes.of(&format!("{}.weight", qkv[0].0));
        let mlp = if self.gated {
            Mlp::Gated {
                gate_up: linear("mlp.weights_in", 2 * mlp, width),
                act: Act::Silu,
                down: linear("mlp.weights_out", width, mlp),
            }
        } else {
            Mlp::Plain { fc1: linear("mlp.fc1", mlp, width), act, fc2: linear("mlp.fc2", width, mlp) }
        };
        EncoderLayer {
            norm1: norm("norm1"),
            qkv: Linear::stacked(&qkv, width, dtype),
            qk_norm: None,
            attention: SelfAttention { heads, kv_heads: heads, head_dim, causal: false, window: None },
            out: linear("attention.output.dense", width, width),
            norm2: norm("norm2"),
            mlp,
            scales: Some([1, 2].map(|half| format!("{at}.layer_scale{half}.lambda1"))),
            windowed: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::models::UniformDtype;

    fn spec(json: &str) -> Result<Spec> {
        read(&Config::parse("config.json", json.as_bytes())?, &UniformDtype(DType::F32))
    }

    #[test]
    fn a_gated_mlp_has_two_thirds_of_the_width() {
        let spec = spec(r#"{"hidden_size": 1536, "num_attention_heads": 24, "use_swiglu_ffn": true}"#).unwrap();
        let Mlp::Gated { gate_up, down, .. } = &spec.vision.unwrap().layers[0].mlp else { panic!("not gated") };
        assert_eq!((gate_up.n, gate_up.k, down.n, down.k), (8192, 1536, 1536, 4096));
    }

    #[test]
    fn a_model_with_a_head_classifies_and_a_base_model_pools() {
        let base = spec(r#"{"architectures": ["Dinov2Model"]}"#).unwrap();
        assert!(base.classifier.is_none() && base.pooler == Some(Pooler::First));
        let named =
            r#"{"architectures": ["Dinov2ForImageClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}}"#;
        let heads = spec(named).unwrap().classifier.unwrap().heads;
        assert_eq!((heads[0].layer.n, heads[0].layer.k), (3, 2 * 768));
    }

    #[test]
    fn registers_have_rows_and_no_positions() {
        let json = r#"{"model_type": "dinov2_with_registers", "hidden_size": 64, "num_attention_heads": 4,
            "image_size": 28, "patch_size": 14, "num_register_tokens": 2}"#;
        let tower = spec(json).unwrap().vision.unwrap();
        let name = "dinov2.embeddings.position_embeddings";
        let table = format!("elements({name},0,64)+zeros(128)+elements({name},64,256)");
        assert_eq!((tower.prefix.len(), tower.positions), (3, Positions::Resampled(table)));
        assert!(spec(&json.replace("\": 2}", "\": 5000}")).is_err());
    }

    #[test]
    fn sizes_that_are_no_sizes_are_errors() {
        for json in [
            r#"{"mlp_ratio": -1}"#,
            r#"{"mlp_ratio": 1e30}"#,
            r#"{"image_size": [224, 448]}"#,
            r#"{"patch_size": 0}"#,
            r#"{"num_attention_heads": 7}"#,
        ] {
            assert!(spec(json).is_err(), "{json}");
        }
    }
}
