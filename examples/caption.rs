//! A picture and a question in, text out, as it comes.
//!
//! `cargo run --example caption -- MODEL_DIR PICTURE QUESTION`

use omma::checkpoint::Directory;
use omma::generate::{GenerateOptions, LoadOptions, Model, OpenModel, PictureSource, Request, Session, SessionOptions};
use omma::gpu::{Device, OpenOptions};
use omma::image::{Limits, Picture, Policy};
use std::{error::Error, io::Write, sync::Arc};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, file, question] = &arguments[..] else { return Err("MODEL_DIR PICTURE QUESTION are needed".into()) };
    pollster::block_on(async {
        let device = Device::open(&OpenOptions::default()).await?;
        let files = Directory::open(folder)?;
        let model = Arc::new(Model::load(&device, &files, OpenModel::default(), LoadOptions::default()).await?);
        let picture = Picture::decode(file, &std::fs::read(file)?, &Limits::default())?;
        let pixels = model.pixels(PictureSource::Host(Arc::new(picture)), Policy::Auto)?;
        let mut session = Session::new(model, SessionOptions::default());
        let write = |text: &str| {
            print!("{text}");
            std::io::stdout().flush().unwrap_or_default();
        };
        session.answer(&Request::new(vec![pixels], question), &GenerateOptions::default(), write).await?;
        println!();
        Ok(())
    })
}
