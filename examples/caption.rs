//! A picture and a question in, text out.
//!
//! `cargo run --example caption -- PICTURE QUESTION [MODEL_DIR]` (without a folder the model of the repository)

use omma::checkpoint::Directory;
use omma::generate::{GenerateOptions, LoadOptions, Model, OpenModel, PictureSource, Request, Sampling, Session};
use omma::gpu::{Device, OpenOptions};
use omma::image::{Limits, Picture, Policy};
use std::sync::Arc;

async fn caption(folder: &str, picture: &str, question: &str) -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::open(&OpenOptions::default()).await?; // or Device::from_host(device, queue, &options)
    let files = Directory::open(folder)?;
    let model = Arc::new(Model::load(&device, &files, OpenModel::default(), LoadOptions::default()).await?);
    let picture = Picture::decode(picture, &std::fs::read(picture)?, &Limits::default())?;
    let pixels = model.pixels(PictureSource::Host(Arc::new(picture)), Policy::Auto)?;
    let options = GenerateOptions::of_model(model.files.generation.as_ref(), &Sampling::default())?;
    let mut session = Session::new(model, Default::default());
    session.answer(&Request::new(vec![pixels], question), &options, |text| print!("{text}")).await?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |i: usize, default: &str| arguments.get(i).cloned().unwrap_or_else(|| default.to_owned());
    let root = env!("CARGO_MANIFEST_DIR");
    let picture = argument(0, &format!("{root}/assets/demo/page.png"));
    let folder = argument(2, &format!("{root}/assets/omma-demo"));
    pollster::block_on(caption(&folder, &picture, &argument(1, "Read the text.")))
}
