//! GGUF checkpoints with a picture part: a golden LLaVA written as llama.cpp's converters write it, against the original's
//! stages and tokens; small models of the other kinds as the converter itself wrote them, from picture and prompt to logits.

mod support;

use omma::Error;
use omma::checkpoint::gguf::GgufFiles;
use omma::checkpoint::{Config, Files, MemoryFile, ReadAt, open_model, open_model_with};
use omma::generate::{LoadOptions, Model, OpenModel, PictureSource, Session};
use omma::image::{Limits, Picture};
use pollster::block_on;
use std::sync::Arc;
use support::gguf::{Source, Writer};
use support::{Answer, Golden, answer, answer_to, check_answer, encode, goldens, own_device, pixels, sizes};

const WIDE: &[u8] = include_bytes!("support/landscape.png");

fn memory(name: &str, file: &Writer) -> Arc<dyn ReadAt> {
    Arc::new(MemoryFile::new(name, file.bytes()))
}

fn pair(model: &Writer, pictures: &Writer) -> GgufFiles {
    GgufFiles::new(memory("model.gguf", model)).with_pictures(memory("mmproj.gguf", pictures))
}

/// What transformers answers about the picture of a checkpoint that the converter wrote (`make_mmproj.py`).
#[derive(serde::Deserialize)]
struct Said {
    prompt: String,
    input_ids: Vec<u32>,
    generated_ids: Vec<u32>,
    logits: Vec<Vec<f32>>,
    atol: f32,
}

/// A pair of files that the converter wrote.
struct Written(std::path::PathBuf);

impl Written {
    fn new(name: &str) -> Self {
        Self(goldens().join(name))
    }
    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap()
    }
}

const WRITTEN: [&str; 6] =
    ["mmproj_idefics3", "mmproj_internvl", "mmproj_mistral3", "mmproj_pixtral", "mmproj_qwen2_vl", "mmproj_qwen2_5_vl"];

#[test]
fn pairs_that_the_converter_wrote_answer_as_the_original() {
    let device = own_device(false);
    for name in WRITTEN {
        let written = Written::new(name);
        let said: Said = serde_json::from_slice(&written.read("answer.json")).unwrap();
        let files = open_model(written.0.join("model.gguf").to_str().unwrap()).unwrap();
        let model = block_on(Model::load(&device, &*files, OpenModel::default(), LoadOptions::default())).unwrap();
        let image = Picture::decode("image.png", &written.read("image.png"), &Limits::default()).unwrap();
        let picture = pixels(&model, PictureSource::Host(Arc::new(image)));
        let sequence = model.sequence(&said.prompt, std::slice::from_ref(&picture), false).unwrap();
        assert_eq!(sequence.ids, said.input_ids, "{name}");
        let mut session = Session::new(Arc::new(model), sizes());
        let got = block_on(async {
            session.encode_pictures(&[picture], &mut |_| {}).await?;
            answer_to(&mut session, sequence, said.generated_ids.len()).await
        });
        let got = got.unwrap();
        assert_eq!(got.ids, said.generated_ids, "{name}");
        let want = said.logits.concat();
        assert_eq!(got.logits.len(), want.len(), "{name}");
        for (i, (got, want)) in got.logits.iter().zip(&want).enumerate() {
            assert!((got - want).abs() <= said.atol + 1e-4 * want.abs(), "{name} [{i}]: {got}, not {want}");
        }
    }
}

/// A picture part that is enough for config.json: what its kind states and needs, and a table of what its last layer gives.
fn part(projector: &str, width: usize, tensors: &[&str]) -> Writer {
    let mut to = Writer::default();
    to.text("general.architecture", "clip")
        .text("clip.projector_type", projector)
        .number("clip.vision.image_size", 64)
        .number("clip.vision.patch_size", 8)
        .number("clip.vision.embedding_length", 16)
        .number("clip.vision.feed_forward_length", 0)
        .number("clip.vision.attention.head_count", 2)
        .number("clip.vision.block_count", 4);
    for tensor in tensors {
        let shape: &[usize] = match *tensor {
            "mm.2.weight" | "mm.model.fc.weight" | "mm.model.mlp.3.weight" => &[width, 1],
            "v.blk.0.ffn_down.weight" => &[24, 16],
            "v.blk.0.ffn_up.weight" => &[16, 24],
            _ => &[1],
        };
        to.tensor(tensor, shape, vec![0.0; shape.iter().product()]);
    }
    to
}

/// By projector: the decoder's architecture, what a part needs, and what parts of other models have.
const KINDS: [(&str, &str, &[&str], &[&str]); 5] = [
    (
        "idefics3",
        "llama",
        &["v.patch_embd.bias", "v.post_ln.weight", "mm.model.fc.weight"],
        &["v.class_embd", "v.pre_ln.weight", "mm.model.fc.bias"],
    ),
    (
        "internvl",
        "qwen2",
        &["v.class_embd", "v.patch_embd.bias", "v.blk.0.ls1.weight", "mm.model.mlp.0.weight", "mm.model.mlp.3.weight"],
        &["v.pre_ln.weight"],
    ),
    (
        "pixtral",
        "mistral3",
        &["v.pre_ln.weight", "v.blk.0.ffn_gate.weight", "mm.1.weight", "mm.2.weight"],
        &["v.class_embd", "v.patch_embd.bias", "v.position_embd.weight"],
    ),
    ("qwen2vl_merger", "qwen2vl", QWEN, &["v.class_embd", "v.pre_ln.weight", "v.blk.0.ffn_gate.weight"]),
    (
        "qwen2.5vl_merger",
        "qwen2vl",
        &[
            "v.blk.0.ffn_gate.weight",
            "v.patch_embd.weight.1",
            "v.blk.0.attn_q.weight",
            "v.post_ln.weight",
            "mm.0.weight",
            "mm.2.weight",
        ],
        &["v.class_embd", "v.pre_ln.weight"],
    ),
];
const QWEN: &[&str] =
    &["v.patch_embd.weight.1", "v.blk.0.attn_q.weight", "v.post_ln.weight", "mm.0.weight", "mm.2.weight"];

/// The made file `name` of a pair, or the error.
fn made(decoder: &Writer, pictures: &Writer, name: &str) -> omma::Result<Config> {
    block_on(Config::need(&pair(decoder, pictures), name))
}

#[test]
fn parts_have_what_their_kind_needs_and_nothing_of_others() {
    let source = Source::new(&Golden::new("llava15_gqa", 0));
    for (projector, architecture, needed, others) in KINDS {
        let decoder = source.decoder_of(architecture);
        let part = |tensors: &[&str]| {
            let mut part = part(projector, source.width(), tensors);
            part.number("clip.vision.n_wa_pattern", 2);
            made(&decoder, &part, "config.json").map_err(|error| error.to_string())
        };
        part(needed).unwrap();
        for missing in needed {
            let rest: Vec<&str> = needed.iter().copied().filter(|name| name != missing).collect();
            let error = part(&rest).unwrap_err();
            assert!(error.contains(missing), "{projector} without {missing}: {error}");
        }
        for other in others {
            let error = part(&[needed, &[*other]].concat()).unwrap_err();
            assert!(error.contains(other), "{projector} with {other}: {error}");
        }
    }
}

#[test]
fn parts_go_with_decoders_of_their_kind() {
    let source = Source::new(&Golden::new("llava15_gqa", 0));
    for (projector, architecture, needed, _) in KINDS {
        let part = |width| {
            let mut part = part(projector, width, needed);
            part.number("clip.vision.n_wa_pattern", 2);
            part
        };
        let refused = |decoder: &Writer, width| made(decoder, &part(width), "config.json").unwrap_err().to_string();
        // A text model among those of Qwen2-VL would take the positions of texts for those of pictures.
        let other = if architecture == "qwen2vl" { "qwen2" } else { "qwen2vl" };
        assert!(refused(&source.decoder_of(other), source.width()).contains("does not go with"), "{projector}");
        assert!(refused(&source.decoder_of(architecture), source.width() + 1).contains("columns"), "{projector}");
        // Beside the model such a part is none of its own.
        let beside = |decoder: &Writer, width| {
            let files = GgufFiles::new(memory("model.gguf", decoder));
            let files = files.with_candidates(vec![memory("mmproj.gguf", &part(width))]);
            block_on(files.list()).unwrap().contains(&"mmproj.gguf".to_owned())
        };
        assert!(!beside(&source.decoder_of(other), source.width()), "{projector}");
        assert!(!beside(&source.decoder_of(architecture), source.width() + 1), "{projector}");
        assert!(beside(&source.decoder_of(architecture), source.width()), "{projector}");
    }
}

#[test]
fn what_the_file_does_not_say_is_as_published() {
    let source = Source::new(&Golden::new("llava15_gqa", 0));
    let of = |at: usize, more: &[&str], change: &dyn Fn(&mut Writer)| {
        let (projector, architecture, needed, _) = KINDS[at];
        let mut part = part(projector, source.width(), &[needed, more].concat());
        change(&mut part);
        let decoder = source.decoder_of(architecture);
        ["config.json", "preprocessor_config.json"].map(|name| made(&decoder, &part, name).unwrap())
    };
    let nothing: &dyn Fn(&mut Writer) = &|_| {};
    let [config, steps] = of(0, &[], nothing);
    assert_eq!(config.f64("vision_config.layer_norm_eps", 0.0).unwrap(), 1e-6);
    assert_eq!(steps.usize("size.longest_edge", 0).unwrap(), 4 * 64);
    assert_eq!(steps.usize("max_image_size.longest_edge", 0).unwrap(), 64);
    // Norms without a bias divide by the root of the mean square.
    let norm = |more: &[&str]| of(1, more, nothing)[0].string("vision_config.norm_type", "").unwrap();
    assert_eq!([norm(&[]), norm(&["v.blk.0.ln1.bias"])], ["rms_norm", "layer_norm"]);
    let [config, steps] = of(1, &["v.blk.0.attn_q_norm.weight"], nothing);
    assert!(config.bool("vision_config.use_qk_norm", false).unwrap());
    assert_eq!([steps.usize("min_patches", 0).unwrap(), steps.usize("max_patches", 0).unwrap()], [1, 12]);
    let theta = |change| of(2, &[], change)[0].f64("vision_config.rope_theta", 0.0).unwrap();
    assert_eq!(theta(nothing), 10_000.0);
    assert_eq!(
        theta(&|part| {
            part.float("clip.rope.freq_base", 5e5);
        }),
        500_000.0
    );
    // An old writer's part: the matrices of an MLP swapped, its width not said, a table that nothing looks at.
    let old = ["v.blk.0.ffn_down.weight", "v.blk.0.ffn_up.weight", "v.position_embd.weight"];
    let [config, steps] = of(3, &old, nothing);
    assert_eq!((16.0 * config.f64("vision_config.mlp_ratio", 0.0).unwrap()) as usize, 24);
    assert_eq!(config.string("vision_config.hidden_act", "").unwrap(), "quick_gelu");
    assert_eq!(steps.usize("min_pixels", 0).unwrap(), 3136);
    assert_eq!(steps.usize("max_pixels", 0).unwrap(), 12_845_056);
    for (pattern, whole) in [(0, vec![0, 1, 2, 3]), (1, vec![0, 1, 2, 3]), (2, vec![1, 3]), (9, vec![])] {
        let [config, _] = of(4, &[], &|part| {
            part.number("clip.vision.n_wa_pattern", pattern);
        });
        assert_eq!(config.list::<usize>("vision_config.fullatt_block_indexes").unwrap().unwrap(), whole);
        assert_eq!(config.usize("vision_config.window_size", 0).unwrap(), 112);
    }
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

/// LLaVA 1.5's weights as LLaVA-NeXT's, with a vector behind the rows of the map: a folder as transformers saves it, and the
/// pair of files that says the same. Canvases are of another width than height, and one of them fits best.
#[test]
fn llava_next_is_read_as_its_folder_is() {
    let golden = Golden::new("llava15_gqa", 0);
    let source = Source::new(&golden);
    let newline: Vec<f32> = (0..source.width()).map(|i| (i % 7) as f32 / 7.0 - 0.4).collect();
    let mut pictures = source.pictures(true);
    pictures
        .text("clip.vision.mm_patch_merge_type", "spatial_unpad")
        .numbers("clip.vision.image_grid_pinpoints", &[224, 112, 112, 336])
        .tensor("model.image_newline", &[newline.len()], newline.clone());
    let next = source.folder(
        serde_json::json!({"model_type": "llava_next"}),
        serde_json::json!({
            "image_processor_type": "LlavaNextImageProcessor",
            "image_grid_pinpoints": [[112, 224], [336, 112]],
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
            "size": {"shortest_edge": 112}, "crop_size": {"height": 112, "width": 112}, "do_pad": true, "resample": 3,
        }),
        ("image_newline", &newline),
    );
    let device = own_device(false);
    let answered = |files: &dyn Files| {
        let model = block_on(Model::load(&device, files, OpenModel::default(), LoadOptions::default())).unwrap();
        let image = Picture::decode("a wide picture", WIDE, &Limits::default()).unwrap();
        let picture = pixels(&model, PictureSource::Host(Arc::new(image)));
        let rows = model.feature_rows(std::slice::from_ref(&picture)).unwrap();
        // The vocabulary of the files is none that texts can be written in.
        let sequence = omma::generate::Sequence::new(
            std::iter::once(1)
                .chain(std::iter::repeat_n(model.spec.image_token.unwrap(), rows))
                .chain([5, 9])
                .collect(),
            (1..=rows).collect(),
        );
        let mut session = Session::new(Arc::new(model), sizes());
        let answer = block_on(async {
            session.encode_pictures(&[picture], &mut |_| {}).await?;
            answer_to(&mut session, sequence, 6).await
        });
        (rows, answer.unwrap())
    };
    let (folder, files) = (answered(&next), answered(&pair(&source.decoder(), &pictures)));
    // 8 x 8 of the overview; of 8 x 16 on the canvas 8 x 10 without padding, and a vector behind each row.
    assert_eq!(files.0, 64 + 8 * 11);
    assert_eq!((files.0, &files.1.ids), (folder.0, &folder.1.ids));
    // Rows of q and k stand in another order, and so sums over a head are made in another.
    let largest = folder.1.logits.iter().fold(0f32, |most, v| most.max(v.abs()));
    for (i, (got, want)) in files.1.logits.iter().zip(&folder.1.logits).enumerate() {
        assert!((got - want).abs() <= 2e-5 * largest, "[{i}]: {got}, not {want}");
    }
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
    for kind in ["mlp_norm", "ldp", "ldpv2", "resampler", "gemma3"] {
        let error = refused(&|w| {
            w.text("clip.projector_type", kind);
        });
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains(kind), "{error}");
    }
    let error = refused(&|w| {
        w.text("clip.vision.mm_patch_merge_type", "spatial");
    });
    assert!(error.to_string().contains("`spatial`"), "{error}");
    let error = refused(&|w| {
        w.numbers("clip.vision.image_grid_pinpoints", &[336, 672]);
    });
    assert!(error.to_string().contains("image_grid_pinpoints"), "{error}");
    let error = refused(&|w| {
        w.text("clip.vision.mm_patch_merge_type", "spatial_unpad");
    });
    assert!(error.to_string().contains("image_newline"), "{error}");
    let error = refused(&|w| {
        w.text("clip.vision.mm_patch_merge_type", "spatial_unpad");
        w.tensor("v.image_newline", &[1], vec![0.0]);
        w.numbers("clip.vision.image_grid_pinpoints", &[336, 672, 672]);
    });
    assert!(error.to_string().contains("image_grid_pinpoints"), "{error}");
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
