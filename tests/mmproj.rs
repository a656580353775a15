//! GGUF checkpoints with a picture part: a golden LLaVA written as llama.cpp's converters write it, against the original's
//! stages and tokens.

mod support;

use omma::Error;
use omma::checkpoint::gguf::GgufFiles;
use omma::checkpoint::{Config, Files, MemoryFile, ReadAt, open_model, open_model_with};
use omma::generate::{LoadOptions, Model, OpenModel, Session};
use pollster::block_on;
use std::sync::Arc;
use support::gguf::{Source, Writer};
use support::{Answer, Golden, answer, check_answer, encode, own_device, sizes};

fn memory(name: &str, file: &Writer) -> Arc<dyn ReadAt> {
    Arc::new(MemoryFile::new(name, file.bytes()))
}

fn pair(model: &Writer, pictures: &Writer) -> GgufFiles {
    GgufFiles::new(memory("model.gguf", model)).with_pictures(memory("mmproj.gguf", pictures))
}

fn run(golden: &Golden, files: &dyn Files, open: OpenModel, steps: usize) -> Answer {
    let device = own_device(false);
    let model = block_on(Model::load(&device, files, open, LoadOptions::default())).unwrap();
    let mut session = Session::new(Arc::new(model), sizes());
    block_on(encode(&mut session, golden)).unwrap();
    block_on(answer(&mut session, golden, steps)).unwrap()
}

#[test]
fn a_pair_of_files_gives_the_stages_and_tokens_of_the_original() {
    let golden = Golden::new("llava15_gqa", 0);
    let source = Source::new(&golden);
    for old in [false, true] {
        let files = pair(&source.decoder(), &source.pictures(old));
        check_answer(&golden, &run(&golden, &files, OpenModel::default(), 16));
    }
}

/// The projector with each of its inner columns twice and half the weight behind them: wider than the decoder, and the same.
fn widen(pictures: &mut Writer) {
    for (name, shape, values) in &mut pictures.tensors {
        match name.as_str() {
            "mm.0.weight" | "mm.0.bias" => {
                shape[0] *= 2;
                values.extend(values.clone());
            }
            "mm.2.weight" => {
                let halves = |row: &[f32]| row.iter().map(|v| v / 2.0).collect::<Vec<f32>>().repeat(2);
                *values = values.chunks(shape[1]).flat_map(halves).collect();
                shape[1] *= 2;
            }
            _ => {}
        }
    }
}

#[test]
fn a_projector_may_be_wider_inside_than_the_decoder() {
    let golden = Golden::new("llava15_gqa", 0);
    let source = Source::new(&golden);
    let mut pictures = source.pictures(false);
    widen(&mut pictures);
    let files = pair(&source.decoder(), &pictures);
    check_answer(&golden, &run(&golden, &files, OpenModel::default(), 16));
}

#[test]
fn a_picture_part_says_what_is_done_to_pictures() {
    let source = Source::new(&Golden::new("llava15_gqa", 0));
    let files = pair(&source.decoder(), &source.pictures(false));
    let steps = block_on(Config::need(&files, "preprocessor_config.json")).unwrap();
    assert_eq!(steps.list::<f64>("image_mean").unwrap().unwrap(), [0.5; 3]);
    assert_eq!(steps.usize("crop_size.height", 0).unwrap(), 112);
    let config = block_on(Config::need(&files, "config.json")).unwrap();
    assert_eq!(config.usize("image_token_index", 0).unwrap(), 400);
}

#[test]
fn other_projectors_are_refused_by_name() {
    let source = Source::new(&Golden::new("llava15_gqa", 0));
    let refused = |change: &dyn Fn(&mut Writer)| {
        let mut pictures = source.pictures(false);
        change(&mut pictures);
        block_on(Config::need(&pair(&source.decoder(), &pictures), "config.json")).unwrap_err()
    };
    for kind in ["mlp_norm", "ldp", "ldpv2", "resampler", "qwen2vl_merger", "gemma3", "idefics3", "pixtral"] {
        let error = refused(&|w| {
            w.text("clip.projector_type", kind);
        });
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains(kind), "{error}");
    }
    let error = refused(&|w| {
        w.text("clip.vision.mm_patch_merge_type", "spatial_unpad");
    });
    assert!(error.to_string().contains("spatial_unpad"), "{error}");
    let error = refused(&|w| {
        w.tensor("v.post_ln.weight", &[144], vec![1.0; 144]);
    });
    assert!(error.to_string().contains("v.post_ln.weight"), "{error}");
    let error = refused(&|w| *w = Writer::default());
    assert!(error.to_string().contains("clip"), "{error}");
    // A decoder is no picture part.
    let files = pair(&source.decoder(), &source.decoder());
    let error = block_on(Config::need(&files, "config.json")).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

#[test]
fn the_part_that_fits_is_found_beside_the_model() {
    let golden = Golden::new("llava15_gqa", 0);
    let source = Source::new(&golden);
    let folder = std::env::temp_dir().join(format!("omma-mmproj-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes).unwrap();
    let path = folder.join("tiny.gguf").display().to_string();
    write("tiny.gguf", source.decoder().bytes());
    write("mmproj-damaged.gguf", b"GGUF".to_vec());
    let mut narrow = Writer::default();
    narrow.text("general.architecture", "clip").tensor("mm.2.weight", &[8, 4], vec![0.0; 32]);
    write("mmproj-of-another.gguf", narrow.bytes());
    let kind = || {
        let config = block_on(Config::need(&*open_model(&path).unwrap(), "config.json"));
        config.map(|config| config.string("model_type", "").unwrap())
    };
    assert_eq!(kind().unwrap(), "llama");
    write("tiny.mmproj-f32.gguf", source.pictures(false).bytes());
    assert_eq!(kind().unwrap(), "llava");
    write("MMPROJ-again.gguf", source.pictures(true).bytes());
    assert!(kind().unwrap_err().to_string().contains("tiny.mmproj-f32.gguf"));
    let named = folder.join("MMPROJ-again.gguf");
    let files = open_model_with(&path, Some(&named)).unwrap();
    assert!(block_on(files.list()).unwrap().contains(&"mmproj.gguf".to_owned()));
    assert!(open_model_with(folder.to_str().unwrap(), Some(&named)).is_err(), "a folder has its own");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Factors of 2 are linear scaling by 2; factors of 1 are nothing.
#[test]
fn frequencies_are_divided_by_their_factors() {
    let golden = Golden::new("llava15_gqa", 0);
    let source = Source::new(&golden);
    let with = |factors: Vec<f32>| {
        let mut model = source.decoder();
        model.tensor("rope_freqs.weight", &[factors.len()], factors);
        model
    };
    check_answer(
        &golden,
        &run(&golden, &pair(&with(vec![1.0; 32]), &source.pictures(false)), OpenModel::default(), 16),
    );
    let halved = run(&golden, &pair(&with(vec![2.0; 32]), &source.pictures(false)), OpenModel::default(), 4);
    let mut linear = source.decoder();
    linear.text("llama.rope.scaling.type", "linear").float("llama.rope.scaling.factor", 2.0);
    let scaled = run(&golden, &pair(&linear, &source.pictures(false)), OpenModel::default(), 4);
    assert_eq!(halved, scaled);
    for wrong in [vec![1.0; 31], vec![0.0; 32], vec![f32::NAN; 32]] {
        let files = pair(&with(wrong), &source.pictures(false));
        let device = own_device(false);
        assert!(block_on(Model::load(&device, &files, OpenModel::default(), LoadOptions::default())).is_err());
    }
}
