//! Pictures to embeddings, and how alike each is to the first.
//!
//! `cargo run --example embed_image -- MODEL_DIR PICTURE...` (without arguments a small CLIP of the repository)

use omma::checkpoint::Directory;
use omma::generate::{LoadOptions, Model, OpenModel, PictureSource, Session, SessionOptions};
use omma::gpu::{Device, OpenOptions};
use omma::image::{Limits, Picture, Policy};
use omma::models::names;
use std::path::PathBuf;
use std::sync::Arc;

type Any = Box<dyn std::error::Error>;

fn main() -> Result<(), Any> {
    let mut arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if arguments.is_empty() {
        let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("kernels-test/goldens/clip_vit_b16_gelu");
        arguments = vec![golden.clone(), golden.join("image_a.png"), golden.join("image_b.png")];
    }
    pollster::block_on(run(&arguments[0], &arguments[1..]))
}

async fn run(folder: &PathBuf, pictures: &[PathBuf]) -> Result<(), Any> {
    let device = Device::open(&OpenOptions::default()).await?;
    let files = Directory::open(folder)?;
    let model = Arc::new(Model::load(&device, &files, OpenModel::default(), LoadOptions::default()).await?);
    let width = model.spec.contrast.as_ref().ok_or("the model has no embeddings of pictures")?.dim;
    let mut session = Session::new(model.clone(), SessionOptions::default());
    let mut first: Option<Vec<f32>> = None;
    for path in pictures {
        let picture = Picture::decode(&path.display().to_string(), &std::fs::read(path)?, &Limits::default())?;
        let pixels = model.pixels(PictureSource::Host(Arc::new(picture)), Policy::Auto)?;
        let inputs = session.preprocess(&[pixels]).await?;
        session.encode(&inputs, &|_| false).await?;
        let embedding = session.read(names::IMAGE_EMBEDS, &[1, width]).await?;
        let first = first.get_or_insert_with(|| embedding.clone());
        let cosine: f32 = first.iter().zip(&embedding).map(|(a, b)| a * b).sum();
        println!("{}: {} numbers, {cosine:.4} alike the first", path.display(), embedding.len());
    }
    Ok(())
}
