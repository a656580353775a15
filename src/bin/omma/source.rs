//! Where models and pictures of a command come from: a folder, a hub id, the model in the repository; picture files.

use crate::common::{Common, read_file};
use omma::checkpoint::{Directory, Files, open_model_with};
use omma::generate::{LoadOptions, Model, OpenModel, PictureSource, Pixels};
use omma::gpu::{Cancel, Device};
use omma::image::tiles::Wish;
use omma::image::{Limits, Picture};
use omma::{DType, Error, Result};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The model that is used without `--model`, relative to the repository.
const OWN_MODEL: &str = "assets/omma-demo";
/// What that model is asked by default: it knows a few questions only.
pub const OWN_QUESTION: &str = "Describe the picture.";

/// A model on a device, and how long that took.
pub struct Loaded {
    /// Device.
    pub device: Device,
    /// Model.
    pub model: Arc<Model>,
    /// Milliseconds of opening and loading.
    pub load_ms: f64,
}

/// Opens the device and loads a model, with a bar on a terminal.
pub async fn load(common: &Common, name: Named<'_>, open: OpenModel, cancel: &Cancel) -> Result<Loaded> {
    let start = Instant::now();
    let files = files(name)?;
    let device = common.device().await?;
    if open.compute == DType::F16 && !device.caps().f16 {
        return Err(Error::MissingCapability {
            what: "--compute f16".into(),
            needs: "the feature shader-f16".into(),
            has: "f32 only".into(),
        });
    }
    let bar = std::io::stderr().is_terminal().then(|| indicatif::ProgressBar::new(1000));
    let mut options = LoadOptions::default();
    if let Some(bar) = &bar {
        let bar = bar.clone();
        options.progress = Some(Box::new(move |share| bar.set_position((share * 1000.0) as u64)));
    }
    let model = Model::load(&device, &*files, open, options).await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let model = Arc::new(model?);
    cancel.check()?;
    Ok(Loaded { device, model, load_ms: start.elapsed().as_secs_f64() * 1e3 })
}

/// A model by folder, file or hub id, and the picture part of a GGUF file.
pub type Named<'a> = (Option<&'a str>, Option<&'a Path>);

/// Files of a model.
pub fn files((name, mmproj): Named<'_>) -> Result<Arc<dyn Files>> {
    match name {
        Some(name) => open_model_with(name, mmproj),
        None => Ok(Arc::new(Directory::open(own_model()?)?)),
    }
}

/// The model in the repository: under the current folder or one above the executable.
fn own_model() -> Result<PathBuf> {
    let here = std::env::current_dir().ok();
    let executable = std::env::current_exe().ok();
    let above = executable.iter().flat_map(|e| e.ancestors().skip(1)).map(Path::to_path_buf);
    let found = here.into_iter().chain(above).map(|folder| folder.join(OWN_MODEL)).find(|path| path.is_dir());
    found.ok_or_else(|| Error::Io {
        path: OWN_MODEL.into(),
        reason: "is not under this folder or the executable's; pass --model DIR".into(),
    })
}

/// Reads and decodes pictures: before a model is loaded, so that a wrong path costs no load.
pub fn decode(paths: &[PathBuf]) -> Result<Vec<Arc<Picture>>> {
    let picture = |path: &PathBuf| {
        Picture::decode(&path.display().to_string(), &read_file(path)?, &Limits::default()).map(Arc::new)
    };
    paths.iter().map(picture).collect()
}

/// Decodes a picture as the model's processor does: transparent ones on its colour, if it has one.
pub fn decode_for(model: &Model, name: &str, bytes: &[u8]) -> Result<Picture> {
    match model.files.processor.as_ref().and_then(|p| p.levels.over) {
        Some(colour) => Picture::decode_over(name, bytes, &Limits::default(), colour),
        None => Picture::decode(name, bytes, &Limits::default()),
    }
}

/// Plans the way of decoded pictures into the model. Those that its processor decodes in another way are read again.
pub fn plan(model: &Model, paths: &[PathBuf], pictures: &[Arc<Picture>], wish: &Wish) -> Result<Vec<Pixels>> {
    let again = model.files.processor.as_ref().is_some_and(|p| p.levels.over.is_some());
    let pixels = |(path, picture): (&PathBuf, &Arc<Picture>)| {
        let picture = match again {
            true => Arc::new(decode_for(model, &path.display().to_string(), &read_file(path)?)?),
            false => picture.clone(),
        };
        model.pixels_with(PictureSource::Host(picture), wish)
    };
    paths.iter().zip(pictures).map(pixels).collect()
}

/// A flag that Ctrl-C sets; the second one ends the process.
pub fn cancel_on_interrupt() -> Result<Cancel> {
    let cancel = Cancel::default();
    let flag = cancel.clone();
    let asked = std::sync::atomic::AtomicBool::new(false);
    let handler = move || {
        if asked.swap(true, std::sync::atomic::Ordering::Relaxed) {
            std::process::exit(1);
        }
        flag.cancel();
    };
    ctrlc::set_handler(handler)
        .map_err(|e| Error::Io { path: "Ctrl-C".into(), reason: format!("cannot be listened to: {e}") })?;
    Ok(cancel)
}

/// Writes to stdout at once; a closed pipe is an error, not a panic.
pub fn print(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Error::io("stdout", &e))
}
