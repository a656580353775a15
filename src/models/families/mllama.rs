//! Llama 3.2 Vision (Mllama): a decoder of LLaMA's kind in which some layers attend to the features of tiles. The picture
//! side is in `mllama_vision`.

use super::{llama, mllama_vision, text_config};
use crate::Result;
use crate::checkpoint::Config;
use crate::checkpoint::schemes::VISION_LANGUAGE;
use crate::models::{Cross, Decoder, Dtypes, Spec};

pub(super) fn read(config: &Config, dtypes: &dyn Dtypes) -> Result<Spec> {
    let text = text_config(config, "mllama_text_model")?;
    let vision = config.section("vision_config")?.map_or_else(|| Config::parse(config.file(), b"{}"), Ok)?;
    let decoder = llama::decoder(&text, dtypes, "language_model.", "llm.")?;
    let image = config.usize("image_token_index", config.usize("image_token_id", 128_256)?)?;
    let (tower, connector) = mllama_vision::vision(&vision, decoder.width, dtypes)?;
    Ok(Spec {
        vision: Some(tower),
        connector: Some(connector),
        decoder: Some(Decoder { cross: Some(cross(&vision)?), ..decoder }),
        image_token: Some(image as u32),
        eos: llama::eos(&text)?,
        pad: llama::pad(config)?.or(llama::pad(&text)?),
        scheme: VISION_LANGUAGE,
        ..Spec::default()
    })
}

/// A tile's rows: its patches and the class row.
fn cross(vision: &Config) -> Result<Cross> {
    let (side, patch) = (vision.usize("image_size", 448)?, vision.usize("patch_size", 14)?);
    let side = side.checked_div(patch).unwrap_or(0);
    let tiles = vision.usize("max_num_tiles", 4)?;
    match side.checked_mul(side).and_then(|n| n.checked_add(1)) {
        Some(tile_rows) if side > 0 && tile_rows <= 1 << 20 && (1..=1 << 10).contains(&tiles) => {
            Ok(Cross { tile_rows, tiles })
        }
        _ => Err(vision.broken("image_size", format!("{tiles} tiles of {side}x{side} patches"))),
    }
}
