//! Answers about many pictures: a folder with `pictures.jsonl` (`file`, `question` of each) to a line of JSON for each.
//!
//! `cargo run --release --example answers -- MODEL_DIR PICTURES_DIR [TILING...]` (without a policy: auto). A picture that
//! the first policy leaves whole is answered about once.

use omma::checkpoint::Directory;
use omma::generate::{GenerateOptions, LoadOptions, Model, OpenModel, PictureSource, Request, Sampling, Session};
use omma::gpu::{Device, OpenOptions};
use omma::image::{Limits, Picture, Policy};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

type Any = Box<dyn std::error::Error>;

async fn answers(model: &str, folder: &Path, policies: &[Policy]) -> Result<(), Any> {
    let device = Device::open(&OpenOptions::default()).await?;
    let model = Model::load(&device, &Directory::open(model)?, OpenModel::default(), LoadOptions::default()).await?;
    let model = Arc::new(model);
    let options = GenerateOptions::of_model(model.files.generation.as_ref(), &Sampling::default())?;
    let mut session = Session::new(model.clone(), Default::default());
    for line in std::fs::read_to_string(folder.join("pictures.jsonl"))?.lines() {
        let asked: Value = serde_json::from_str(line)?;
        let (Some(file), Some(question)) = (asked["file"].as_str(), asked["question"].as_str()) else {
            return Err(format!("a line without file and question: {line}").into());
        };
        let picture = Arc::new(Picture::decode(file, &std::fs::read(folder.join(file))?, &Limits::default())?);
        for policy in policies {
            let pixels = model.pixels(PictureSource::Host(picture.clone()), *policy)?;
            let whole = pixels.plan.tiles.is_empty();
            session.reset();
            let answer = session.answer(&Request::new(vec![pixels], question), &options, |_| {}).await?;
            let tiling = policy.name();
            println!("{}", json!({"file": file, "tiling": tiling, "answer": answer.text, "ids": answer.ids}));
            if whole {
                break;
            }
        }
    }
    device.save_cache();
    Ok(())
}

fn main() -> Result<(), Any> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, folder, policies @ ..] = &arguments[..] else {
        return Err("answers MODEL_DIR PICTURES_DIR [TILING...]".into());
    };
    let mut policies = policies.iter().map(|name| name.parse()).collect::<omma::Result<Vec<Policy>>>()?;
    if policies.is_empty() {
        policies.push(Policy::Auto);
    }
    pollster::block_on(answers(model, Path::new(folder), &policies))
}
