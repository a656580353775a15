//! The demo model of this project (tools/demo-model), in the form of LLaVA-UHD: Pixtral's tower over slices and overview,
//! a resampler that adds its queries to what they read, places on the whole picture, a LLaMA decoder.

use super::resampler::square;
use super::{divided, llama, llava, pixtral};
use crate::Result;
use crate::blocks::{CrossAttention, KeyPositions, Linear, Norm, Reach, Resampler, SelfAttention};
use crate::checkpoint::{Config, Scheme};
use crate::models::{Bridge, Connector, Dtypes, FeatureSelect, Placing, PromptForm, Spec};

const RESAMPLER: &str = "resampler";
/// Its tensors are saved under the names used here.
const SCHEME: &Scheme = &[];

/// A question behind the picture, and the token that asks for the answer.
const FORM: PromptForm = PromptForm {
    own_system: ("", ""),
    system: "<s>",
    user: "",
    picture: ("", ""),
    assistant: "<answer>",
    answer: ("", "</s>"),
};

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let vision = llava::section(config, "vision_config", "{}", "pixtral")?;
    let text = llava::section(config, "text_config", "{}", "llama")?;
    let tower = pixtral::vision_tower(&vision, dtypes, "vision_tower")?;
    let decoder = llama::decoder(&text, dtypes, "language_model.", "llm.")?;
    let resampler = resampler(config, (tower.patch.width, decoder.width), dtypes)?;
    let placing = placing(config, (resampler.side, decoder.width), dtypes)?;
    let select = FeatureSelect { layers: vec![tower.layers.len()], drop_prefix: false };
    Ok(Spec {
        connector: Some(Connector { select, bridge: Bridge::Resampler(Box::new(resampler)) }),
        placing,
        vision: Some(tower),
        decoder: Some(decoder),
        image_token: Some(config.usize("image_token_id", 3)? as u32),
        eos: llama::eos(&text)?,
        pad: llama::pad(&text)?,
        prompt: FORM,
        scheme: SCHEME,
        ..Spec::default()
    })
}

/// `place_width` (0: none) channels of a place's code, of which `place_proj` makes something to add.
fn placing(config: &Config, (side, width): (usize, usize), dtypes: &dyn Dtypes) -> Result<Option<Placing>> {
    const NAME: &str = "place_proj";
    let codes = config.usize("place_width", 0)?;
    if codes == 0 {
        return Ok(None);
    }
    if codes < 8 || !codes.is_multiple_of(4) || codes > 4096 {
        return Err(config.broken("place_width", format!("{codes} is no multiple of 4 from 8 to 4096")));
    }
    let proj = Linear::new(NAME, width, codes, false, dtypes.of(&format!("{NAME}.weight")));
    Ok(Some(Placing { proj, side }))
}

fn resampler(config: &Config, (features, width): (usize, usize), dtypes: &dyn Dtypes) -> Result<Resampler> {
    let empty = || Config::parse(config.file(), b"{}");
    let own = config.section("resampler_config")?.map_or_else(empty, Ok)?;
    let side = square(&own, ("num_queries", own.usize("num_queries", 64)?))?;
    let heads = own.usize("num_attention_heads", 10)?;
    let head_dim = divided(&own, "num_attention_heads", width, heads)?;
    let eps = own.f64("layer_norm_eps", 1e-6)? as f32;
    let norm = |name: &str| Norm::Layer { name: format!("{RESAMPLER}.{name}"), eps };
    let linear = |name: &str, n: usize, k: usize, bias: bool| {
        let name = format!("{RESAMPLER}.{name}");
        Linear::new(&name, n, k, bias, dtypes.of(&format!("{name}.weight")))
    };
    Ok(Resampler {
        query: format!("{RESAMPLER}.query"),
        positions: Some(format!("{RESAMPLER}.pos_embed")),
        side,
        kv_proj: (features != width).then(|| linear("kv_proj", width, features, false)),
        norm_q: norm("ln_q"),
        norm_kv: norm("ln_kv"),
        attention: CrossAttention {
            heads: SelfAttention { heads, kv_heads: heads, head_dim, causal: false, window: None },
            q: linear("q_proj", width, width, true),
            k: linear("k_proj", width, width, true),
            v: linear("v_proj", width, width, true),
            out: linear("out_proj", width, width, true),
        },
        post: Some(norm("ln_post")),
        proj: Some(linear("proj", width, width, false)),
        key_positions: KeyPositions::Interpolated,
        reach: Reach::Whole,
        residual: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::models::UniformDtype;

    const SHIPPED: &str = include_str!("../../../assets/omma-demo/config.json");

    fn spec(json: &str) -> Result<Spec> {
        read(&Config::parse("config.json", json.as_bytes())?, &UniformDtype(DType::F32))
    }

    #[test]
    fn places_are_as_wide_as_the_configuration_says() {
        let shipped = spec(SHIPPED).unwrap().placing.unwrap();
        assert_eq!((shipped.proj.n, shipped.proj.k, shipped.side), (320, 80, 8));
        let width = |width: &str| SHIPPED.replace(r#""place_width": 80"#, &format!(r#""place_width": {width}"#));
        assert!(spec(&width("0")).unwrap().placing.is_none());
        for bad in ["4", "82", "8192", "-4", "\"80\""] {
            assert!(spec(&width(bad)).is_err(), "{bad}");
        }
    }
}
