//! Idefics 2 (Laurençon et al. 2024), Idefics 3 and SmolVLM: SigLIP's tower over pictures of any aspect, patches placed by
//! parts of height and width; then a perceiver (2) or pixel shuffle (3, SmolVLM); a decoder of the LLaMA kind.

use super::clip::Defaults;
use super::{activation, divided, layer_count, llama, llava, siglip};
use crate::Result;
use crate::blocks::{Linear, Mlp, Norm, Perceiver, PerceiverLayer, SelfAttention};
use crate::checkpoint::{Config, Rule, Scheme, rule};
use crate::kernels::Act;
use crate::models::{
    Bridge, Connector, Decoder, Dtypes, FeatureSelect, Merger, Positions, Projector, Spec, VisionTower,
};

const NAMES: &Scheme = &[PARTS];
const PARTS: &[Rule] = &[
    rule("model.text_model.", "language_model.model."),
    rule("lm_head.", "language_model.lm_head."),
    rule("model.vision_model.", "vision_model."),
    rule("model.connector.", "connector."),
];
const TOWER: &str = "vision_model";
const LLM: &str = "language_model.";
const RESAMPLER: &str = "connector.perceiver_resampler";

/// Towers of Idefics 2 and of Idefics 3.
const SECOND: Defaults = Defaults { patch: 32, ..siglip::BASE };
const THIRD: Defaults = Defaults { width: 1152, heads: 16, ..SECOND };

/// What configurations without a text part mean.
const MISTRAL: &str = r#"{"model_type": "mistral", "max_position_embeddings": 32768, "rms_norm_eps": 1e-5,
    "pad_token_id": 0}"#;
const LLAMA: &str = r#"{"model_type": "llama", "rms_norm_eps": 1e-5}"#;

/// Idefics 2.
pub(super) fn second(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let text = llava::section(config, "text_config", MISTRAL, "mistral")?;
    let tower = tower(config, dtypes, &SECOND)?;
    let decoder = llama::decoder(&text, dtypes, LLM, "llm.")?;
    let bridge = Bridge::Perceiver {
        projection: projection(&text, (tower.patch.width, decoder.width), dtypes)?,
        perceiver: perceiver(config, (&text, decoder.width), dtypes)?,
    };
    let pad = llama::pad(&text)?;
    // One mark serves two pictures that follow one another.
    Ok(Spec { merge_marks: true, ..spec((config, 32_001), &text, (tower, bridge, decoder), pad)? })
}

/// Idefics 3 and SmolVLM.
pub(super) fn third(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let text = llava::section(config, "text_config", LLAMA, "llama")?;
    let tower = tower(config, dtypes, &THIRD)?;
    let decoder = llama::decoder(&text, dtypes, LLM, "llm.")?;
    let side = config.usize("scale_factor", 2)?;
    if !(1..=64).contains(&side) {
        return Err(config.broken("scale_factor", format!("squares of {side} patches a side")));
    }
    let name = "connector.modality_projection.proj";
    let wide = tower.patch.width * side * side;
    let layer = Linear::new(name, decoder.width, wide, false, dtypes.of(&format!("{name}.weight")));
    let projector = Projector { norm: None, layers: vec![(layer, None)], act: Act::Gelu };
    let bridge = Bridge::Merger(Merger { side, norm: None, merging: None, projector });
    let pad = llama::pad(config)?.or(Some(128_002));
    spec((config, 128_257), &text, (tower, bridge, decoder), pad)
}

fn spec(
    (config, image_token): (&Config, usize),
    text: &Config,
    (tower, bridge, decoder): (VisionTower, Bridge, Decoder),
    pad: Option<u32>,
) -> Result<Spec> {
    // What leaves the tower's last norm.
    let select = FeatureSelect { layers: vec![tower.layers.len() + 1], drop_prefix: false };
    Ok(Spec {
        vision: Some(tower),
        connector: Some(Connector { select, bridge }),
        decoder: Some(decoder),
        image_token: Some(config.usize("image_token_id", image_token)? as u32),
        eos: llama::eos(text)?,
        pad,
        scheme: NAMES,
        ..Spec::default()
    })
}

fn tower(config: &Config, dtypes: &dyn Dtypes, defaults: &Defaults) -> Result<VisionTower> {
    let vision = llava::section(config, "vision_config", "{}", "siglip")?;
    let tower = siglip::vision_tower(&vision, dtypes, TOWER, defaults)?;
    let positions = Positions::Fractions(format!("{TOWER}.embeddings.position_embedding.weight"));
    Ok(VisionTower { positions, ..tower })
}

/// The MLP between tower and perceiver: as wide inside as the decoder's.
fn projection(text: &Config, (from, to): (usize, usize), dtypes: &dyn Dtypes) -> Result<Mlp> {
    let inner = text.usize("intermediate_size", 14336)?;
    Ok(gated("connector.modality_projection", (from, inner, to), activation(text, "hidden_act", "silu")?, dtypes))
}

/// A gated MLP without biases.
fn gated(at: &str, (from, inner, to): (usize, usize, usize), act: Act, dtypes: &dyn Dtypes) -> Mlp {
    let of = |name: &str| dtypes.of(&format!("{at}.{name}.weight"));
    let both = ["gate_proj", "up_proj"].map(|name| (format!("{at}.{name}"), inner, false));
    Mlp::Gated {
        gate_up: Linear::stacked(&both, from, of("gate_proj")),
        act,
        down: Linear::new(&format!("{at}.down_proj"), to, inner, false, of("down_proj")),
    }
}

fn perceiver(config: &Config, (text, width): (&Config, usize), dtypes: &dyn Dtypes) -> Result<Perceiver> {
    let empty = || Config::parse(config.file(), b"{}");
    let own = config.section("perceiver_config")?.map_or_else(empty, Ok)?;
    // A perceiver of another width than the decoder is one that was left at its defaults.
    let eps = match own.usize("hidden_size", 4096)? {
        stated if stated == width => own.f64("rms_norm_eps", 1e-6)?,
        _ => text.f64("rms_norm_eps", 1e-6)?,
    } as f32;
    let (heads, kv_heads) = (own.usize("resampler_n_heads", 16)?, own.usize("num_key_value_heads", 4)?);
    divided(&own, "num_key_value_heads", heads, kv_heads)?;
    let head_dim = own.usize("resampler_head_dim", 96)?;
    let attention = SelfAttention { heads, kv_heads, head_dim, causal: false, window: None };
    let act = activation(&own, "hidden_act", "silu")?;
    let count = own.usize("resampler_n_latents", 64)?;
    if count == 0 || count > 1 << 16 {
        return Err(own.broken("resampler_n_latents", format!("{count} latents")));
    }
    let norm = |name: &str| Norm::Rms { name: format!("{RESAMPLER}.{name}"), eps };
    let layer = |i: usize| {
        let at = format!("{RESAMPLER}.layers.{i}");
        let project = |names: &[&str], n: usize, k: usize| {
            let list: Vec<_> = names.iter().map(|name| (format!("{at}.self_attn.{name}"), n, false)).collect();
            Linear::stacked(&list, k, dtypes.of(&format!("{}.weight", list[0].0)))
        };
        PerceiverLayer {
            latents_norm: norm(&format!("layers.{i}.input_latents_norm")),
            context_norm: norm(&format!("layers.{i}.input_context_norm")),
            q: project(&["q_proj"], attention.q_width(), width),
            kv: project(&["k_proj", "v_proj"], attention.kv_width(), width),
            attention,
            out: project(&["o_proj"], width, attention.q_width()),
            norm: norm(&format!("layers.{i}.post_attention_layernorm")),
            mlp: gated(&format!("{at}.mlp"), (width, 4 * width, width), act, dtypes),
        }
    };
    Ok(Perceiver {
        latents: format!("{RESAMPLER}.latents"),
        count,
        layers: (0..layer_count(&own, "resampler_depth", 3)?).map(layer).collect(),
        norm: norm("norm"),
    })
}
