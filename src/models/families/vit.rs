//! ViT (Dosovitskiy et al. 2021) and DeiT (Touvron et al. 2021) for picture classification.

use super::{activation, divided, layer_count};
use crate::Result;
use crate::blocks::{EncoderLayer, Linear, Mlp, Norm, PatchEmbedding, PatchOrder, SelfAttention};
use crate::checkpoint::Config;
use crate::checkpoint::schemes::VIT;
use crate::models::{ClassHead, Classifier, Dtypes, HeadRows, Positions, Spec, VisionTower};

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let deit = config.string("model_type", "")? == "deit";
    let front = if deit { "deit" } else { "vit" };
    let width = config.usize("hidden_size", 768)?;
    let tower = tower(config, dtypes, front, deit, width)?;
    let labels = labels(config)?;
    let teacher = config.one_or_list::<String>("architectures")?.iter().any(|a| a.ends_with("WithTeacher"));
    let head = |name: &str| Linear::new(name, labels.len(), width, true, dtypes.of(&format!("{name}.weight")));
    let heads = if teacher {
        vec![
            class_head("cls_logits", 0, head("cls_classifier")),
            class_head("distillation_logits", 1, head("distillation_classifier")),
        ]
    } else {
        vec![class_head("logits", 0, head("classifier"))]
    };
    let scheme = if deit { &[] } else { VIT };
    Ok(Spec { vision: Some(tower), classifier: Some(Classifier { heads, labels }), scheme, ..Spec::default() })
}

fn class_head(stage: &str, row: usize, layer: Linear) -> ClassHead {
    ClassHead { stage: stage.into(), rows: HeadRows::Prefix(row), layer }
}

fn tower(config: &Config, dtypes: &dyn Dtypes, front: &str, deit: bool, width: usize) -> Result<VisionTower> {
    let mlp = config.usize("intermediate_size", 3072)?;
    let heads = config.usize("num_attention_heads", 12)?;
    let head_dim = divided(config, "num_attention_heads", width, heads)?;
    let eps = config.f64("layer_norm_eps", 1e-12)? as f32;
    let act = activation(config, "hidden_act", "gelu")?;
    let qkv_bias = config.bool("qkv_bias", true)?;
    let attention = SelfAttention { heads, kv_heads: heads, head_dim, causal: false, window: None };
    let layer = |i: usize| {
        let at = format!("{front}.encoder.layer.{i}");
        let norm = |name: &str| Norm::Layer { name: format!("{at}.{name}"), eps };
        let linear = |name: &str, n, k| {
            let name = format!("{at}.{name}");
            Linear::new(&name, n, k, true, dtypes.of(&format!("{name}.weight")))
        };
        let qkv = ["query", "key", "value"].map(|p| (format!("{at}.attention.attention.{p}"), width, qkv_bias));
        let dtype = dtypes.of(&format!("{}.weight", qkv[0].0));
        EncoderLayer {
            norm1: norm("layernorm_before"),
            qkv: Linear::stacked(&qkv, width, dtype),
            qk_norm: None,
            attention,
            out: linear("attention.output.dense", width, width),
            norm2: norm("layernorm_after"),
            mlp: Mlp::Plain {
                fc1: linear("intermediate.dense", mlp, width),
                act,
                fc2: linear("output.dense", width, mlp),
            },
            scales: None,
            windowed: false,
        }
    };
    let embeddings = |name: &str| format!("{front}.embeddings.{name}");
    let patch = embeddings("patch_embeddings.projection");
    let mut prefix = vec![embeddings("cls_token")];
    prefix.extend(deit.then(|| embeddings("distillation_token")));
    let image_size = config.usize("image_size", 224)?;
    let patch_size = config.usize("patch_size", 16)?;
    divided(config, "patch_size", image_size - image_size % patch_size.max(1), patch_size)?;
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
        prefix,
        positions: Positions::Table(embeddings("position_embeddings")),
        order: PatchOrder::ROWS,
        pre_norm: None,
        layers: (0..layer_count(config, "num_hidden_layers", 12)?).map(layer).collect(),
        adapters: Vec::new(),
        post_norm: Some(Norm::Layer { name: format!("{front}.layernorm"), eps }),
    })
}

/// Labels by class; two when the configuration names none, as transformers has it.
pub(super) fn labels(config: &Config) -> Result<Vec<String>> {
    let Some(section) = config.section("id2label")? else {
        let count = config.usize("num_labels", 2)?;
        return Ok((0..count).map(|i| format!("LABEL_{i}")).collect());
    };
    let map = section.value().as_object().cloned().unwrap_or_default();
    let label = |i: usize| {
        let text = map.get(&i.to_string()).and_then(|v| v.as_str());
        text.map(str::to_owned).ok_or_else(|| config.broken("id2label", format!("has no class {i}")))
    };
    (0..map.len()).map(label).collect()
}
