//! `omma tiles (IMAGE or WxH)...`: what a tiling policy makes of pictures, as text, as JSON and drawn.

mod draw;

use super::common::{Common, out, print_json, read_file};
use omma::image::tiles::{Area, CheckpointFiles, From, Mark, Of, Place, Segment, TilePlan, Tiling};
use omma::image::{Limits, Picture, Policy};
use omma::{Error, Result};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Picture files, or sizes like 640x480.
    #[arg(required = true, value_name = "IMAGE or WxH")]
    pictures: Vec<String>,
    /// The policy, e.g. anyres, uhd:max=9,size=448,patch=14, native; auto is what the checkpoint of --model says.
    #[arg(long, default_value = "auto", value_parser = parse_policy)]
    policy: Policy,
    /// Folder of a checkpoint, or a hub id, for the policy auto; its configuration files will do.
    #[arg(long)]
    model: Option<String>,
    /// Most tokens of one picture; the plan says what was changed to keep to it.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    max_image_tokens: Option<u64>,
    /// Draw the plans into this PNG file, one below the other.
    #[arg(long)]
    png: Option<PathBuf>,
    /// Machine-readable.
    #[arg(long)]
    json: bool,
}

/// What was asked about.
struct Asked {
    name: String,
    size: (u32, u32),
    /// Pixels, where a file was named.
    picture: Option<Picture>,
}

/// Runs the command.
pub async fn run(_common: &Common, args: &Args) -> Result<()> {
    let tiling = match (args.policy, &args.model) {
        (Policy::Auto, None) => {
            return Err(Error::argument("--policy auto", "it needs --model DIR; or name another policy"));
        }
        (Policy::Auto, Some(model)) => of_checkpoint(model).await?,
        (policy, _) => Tiling::named(policy)?,
    };
    let asked = args.pictures.iter().map(|text| read(text)).collect::<Result<Vec<Asked>>>()?;
    let plan = |asked: &Asked| {
        let (width, height) = asked.size;
        match args.max_image_tokens {
            Some(most) => tiling.plan_within(width, height, most),
            None => tiling.plan(width, height),
        }
    };
    let plans = asked.iter().map(plan).collect::<Result<Vec<TilePlan>>>()?;
    if let Some(path) = &args.png {
        let drawn = asked.iter().zip(&plans).map(|(asked, plan)| draw::plan(plan, asked.picture.as_ref()));
        draw::stack(&drawn.collect::<Vec<_>>())
            .save_with_format(path, image::ImageFormat::Png)
            .map_err(|e| Error::Io { path: path.display().to_string(), reason: e.to_string() })?;
    }
    if args.json {
        let pictures = asked.iter().zip(&plans).map(|(asked, plan)| as_json(asked, plan, args.policy));
        print_json(&json!({ "format": 1, "pictures": pictures.collect::<Vec<Value>>() }));
    } else {
        for (asked, plan) in asked.iter().zip(&plans) {
            if asked.picture.is_some() {
                out!("{}", asked.name);
            }
            out!("{plan}");
        }
    }
    Ok(())
}

fn parse_policy(text: &str) -> std::result::Result<Policy, String> {
    text.parse().map_err(|e: Error| e.to_string())
}

/// A size, or a file.
fn read(text: &str) -> Result<Asked> {
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if let Some((width, height)) = text.split_once('x').filter(|(w, h)| digits(w) && digits(h)) {
        let side = |t: &str| t.parse().map_err(|_| Error::argument("picture size", format!("`{text}` is too large")));
        return Ok(Asked { name: text.into(), size: (side(width)?, side(height)?), picture: None });
    }
    let picture = Picture::decode(text, &read_file(text.as_ref())?, &Limits::default())?;
    Ok(Asked { name: text.into(), size: (picture.width, picture.height), picture: Some(picture) })
}

/// Settings from a checkpoint's configuration files.
async fn of_checkpoint(model: &str) -> Result<Tiling> {
    let files = omma::checkpoint::open_model(model)?;
    let text = async |name: &'static str| -> Result<Option<String>> {
        let bytes = files.read(name).await?;
        bytes.map(|b| String::from_utf8(b).map_err(|e| Error::malformed(name, e.to_string()))).transpose()
    };
    let config = text("config.json").await?;
    let (main, other) = (text("preprocessor_config.json").await?, text("processor_config.json").await?);
    Tiling::of_checkpoint(&CheckpointFiles {
        config: config.as_deref(),
        preprocessor: main.as_deref(),
        processor: other.as_deref(),
    })
}

fn as_json(asked: &Asked, plan: &TilePlan, policy: Policy) -> Value {
    let pair = |(a, b): (u32, u32)| json!([a, b]);
    // `auto` is answered by the policy that the checkpoint stands for.
    let policy = if policy == Policy::Auto { plan.policy } else { policy };
    let tile = |area: Area, out: (u32, u32)| json!({ "x": area.x, "y": area.y, "w": area.width, "h": area.height, "out": pair(out) });
    let overview = plan.overview.map(|o| {
        let place = if o.place == Place::First { "first" } else { "last" };
        let from = match o.from {
            From::Picture => "picture",
            From::Canvas => "canvas",
            From::Normalized => "normalized canvas",
        };
        json!({ "out": pair(o.out), "place": place, "from": from })
    });
    let (t, source, canvas) = (&plan.tokens, plan.source, plan.canvas);
    let mut value = json!({
        "picture": asked.name,
        "size": pair(plan.size),
        "policy": policy.to_string(),
        "source": { "x": source.x, "y": source.y, "w": source.width, "h": source.height },
        "through": plan.through.map(pair),
        "resized": pair(plan.resized),
        "canvas": { "x": canvas.x, "y": canvas.y, "w": canvas.width, "h": canvas.height },
        "grid": plan.grid.map(pair),
        "tiles": plan.tiles.iter().map(|t| tile(t.area, t.out)).collect::<Vec<_>>(),
        "overview": overview,
        "tokens": { "per_tile": t.per_tile, "overview": t.overview, "tiles": t.tiles, "separators": t.separators,
            "total": t.total },
        "order": plan.order.iter().map(segment).collect::<Vec<_>>(),
    });
    if let Some(choice) = &plan.choice {
        value["choice"] = json!(choice);
    }
    value
}

fn segment(segment: &Segment) -> Value {
    let name = |mark: &Mark| json!({ "name": mark.name, "learned": mark.learned });
    let tokens = segment.tokens();
    match segment {
        Segment::Overview { .. } => json!({ "part": "overview", "tokens": tokens }),
        Segment::Tile { index, .. } => json!({ "part": "tile", "index": index, "tokens": tokens }),
        Segment::Mark(mark) => {
            json!({ "part": "mark", "name": mark.name, "learned": mark.learned, "tokens": tokens })
        }
        Segment::Map(map) => json!({
            "part": "map",
            "of": if map.of == Of::Tiles { "tiles" } else { "overview" },
            "full": [map.full.0, map.full.1],
            "kept": { "x": map.kept.x, "y": map.kept.y, "w": map.kept.width, "h": map.kept.height },
            "size": [map.size().0, map.size().1],
            "row_end": map.row_end.as_ref().map(name),
            "last_end": map.last_end.as_ref().map(name),
            "tokens": tokens,
        }),
    }
}
