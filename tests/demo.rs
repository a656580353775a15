//! The demo model's net with small random weights: pictures to features and tokens as PyTorch computes them
//! (tools/demo-model/golden.py); and the trained one of the repository.

mod support;

use omma::checkpoint::Directory;
use omma::generate::{
    GenerateOptions, LoadOptions, Model, OpenModel, PictureSource, Request, Sampling, Session, quantize_checkpoint,
};
use omma::gpu::Device;
use omma::image::{Limits, Picture, Policy};
use omma::models::names;
use omma::quant::Encoding;
use pollster::block_on;
use std::path::Path;
use std::sync::Arc;
use support::{Golden, own_device, sizes};

/// Greedy ids about the pictures of a sample.
fn answer(model: Arc<Model>, golden: &Golden) -> Vec<u32> {
    let options = GenerateOptions { max_new_tokens: 16, ..Default::default() };
    let request = Request::new(golden.host_pictures(&model), golden.question());
    block_on(Session::new(model, sizes()).answer(&request, &options, |_| {})).unwrap().ids
}

#[test]
fn features_and_answers_are_those_of_pytorch() {
    let device = own_device(false);
    for sample in 0..2 {
        let golden = Golden::new("omma_demo", sample);
        let model = block_on(golden.load(&device)).unwrap();
        let pictures = golden.host_pictures(&model);
        let tiles = pictures[0].plan.tiles.len();
        assert_eq!(tiles, [4, 0][sample], "one picture is sliced, the other is not");
        let mut session = Session::new(model.clone(), sizes());
        let rows = 9 * (tiles + 1);
        let width = model.spec.decoder.as_ref().unwrap().width;
        let features = block_on(async {
            let inputs = session.preprocess(&pictures).await?;
            session.encode(&inputs, &support::nothing).await?;
            session.read(names::FEATURES, &[rows, width]).await
        });
        golden.check("features", &features.unwrap());
        assert_eq!(answer(model, &golden), golden.generated());
    }
}

fn load(device: &Device, folder: &Path, weights: Option<Encoding>) -> Arc<Model> {
    let open = OpenModel { weights, ..OpenModel::default() };
    Arc::new(block_on(Model::load(device, &Directory::open(folder).unwrap(), open, LoadOptions::default())).unwrap())
}

#[test]
fn a_written_q8_0_model_answers_as_one_made_at_load() {
    let device = own_device(false);
    let golden = Golden::new("omma_demo", 0);
    let folder = std::env::temp_dir().join(format!("omma-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let to = Encoding::named("q8_0").unwrap();
    let files = Directory::open(&golden.folder).unwrap();
    let config = block_on(quantize_checkpoint(&device, &files, to, &folder.join("model.safetensors"), |_| {})).unwrap();
    std::fs::write(folder.join("config.json"), config).unwrap();
    for name in ["generation_config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(golden.folder.join(name), folder.join(name)).unwrap();
    }
    let made = answer(load(&device, &golden.folder, Some(to)), &golden);
    assert_eq!(answer(load(&device, &folder, None), &golden), made);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What the model of the repository is asked about the pictures of the demo, and what is there.
const WRITTEN: &[(&str, &str, &str)] = &[
    ("receipt.png", "What is the total?", "13.45"),
    ("receipt.png", "Read the text.", "Harbour Cafe\nCoffee 2.80\nApple cake 3.50\nTea 2.20\nHoney 4.95\nTotal 13.45"),
    ("sign.png", "Read the text.", "Willow Lane"),
    ("chart.png", "How many bars are there?", "4"),
    ("shapes.png", "What shapes are there?", "red circle, green triangle, blue square, red circle"),
];

#[test]
fn the_model_of_the_repository_reads_its_pictures() {
    let device = own_device(false);
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let model = load(&device, &assets.join("omma-demo"), None);
    let options = GenerateOptions::of_model(model.files.generation.as_ref(), &Sampling::default()).unwrap();
    let mut session = Session::new(model.clone(), Default::default());
    for (file, question, written) in WRITTEN {
        let bytes = std::fs::read(assets.join("demo").join(file)).unwrap();
        let picture = Arc::new(Picture::decode(file, &bytes, &Limits::default()).unwrap());
        let pixels = model.pixels(PictureSource::Host(picture), Policy::Auto).unwrap();
        session.reset();
        let answer = block_on(session.answer(&Request::new(vec![pixels], *question), &options, |_| {})).unwrap();
        assert_eq!(answer.text, *written, "{file}: {question}");
    }
}
