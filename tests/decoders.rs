//! Decoders of vision-language models by themselves: they get the features that the original made, and have to
//! give its stages and its greedy tokens. Positions on three axes, cross-attention by tile, prompts in parts,
//! truncated sessions.
//!
//! The cases are looked for in `../shared`, or where `OMMA_SHARED` says; without them the tests say so and pass.

use omma::Result;
use omma::checkpoint::{Checkpoint, Config, Directory, Files, MemoryFile, Pending, ReadAt};
use omma::generate::{LoadOptions, Model, OpenModel, Sequence, Session, SessionOptions, Stage};
use omma::gpu::{AdapterChoice, Device, OpenOptions};
use omma::kernels::SampleSettings;
use omma::models::{Sight, grid_positions, tile_sight};
use omma::quant::CacheFormat;
use pollster::block_on;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NEW: usize = 16;

/// A folder of which only the weights are seen: processors are not what is tested.
struct Weights(Directory);

impl Files for Weights {
    fn describe(&self) -> String {
        self.0.describe()
    }
    fn open<'a>(&'a self, name: &'a str) -> Pending<'a, Result<Option<Arc<dyn ReadAt>>>> {
        Box::pin(async move { if name.contains("safetensors") { self.0.open(name).await } else { Ok(None) } })
    }
    fn list(&self) -> Pending<'_, Result<Vec<String>>> {
        self.0.list()
    }
}

/// A case folder with the configuration of its decoder.
struct Case {
    folder: PathBuf,
    json: serde_json::Value,
    model: Arc<Model>,
}

/// The case, with `text_config` in place of the whole configuration where `text` says so.
fn case(name: &str, text: bool) -> Option<Case> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("OMMA_SHARED").map_or_else(beside, PathBuf::from).join(name);
    let Ok(bytes) = std::fs::read(folder.join("case.json")) else {
        eprintln!("{name} is not there; skipped");
        return None;
    };
    let config = Config::parse("config.json", &std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    let config = if text { config.section("text_config").unwrap().unwrap() } else { config };
    let open = OpenModel { config: Some(config), ..OpenModel::default() };
    let device = block_on(Device::open(&OpenOptions { adapter: AdapterChoice::Best, ..Default::default() })).unwrap();
    let files = Weights(Directory::open(&folder).unwrap());
    let model = Arc::new(block_on(Model::load(&device, &files, open, LoadOptions::default())).unwrap());
    Some(Case { folder, json: serde_json::from_slice(&bytes).unwrap(), model })
}

/// A sample of a case.
struct Sample<'c> {
    case: &'c Case,
    json: &'c serde_json::Value,
}

impl Case {
    fn sample(&self, i: usize) -> Sample<'_> {
        Sample { case: self, json: &self.json["samples"][i] }
    }
    fn session(&self, tokens: usize, prompt_rows: Option<usize>) -> Session {
        let (context, max_new) = (tokens + NEW, NEW);
        Session::new(self.model.clone(), SessionOptions { context, max_new, prompt_rows, ..Default::default() })
    }
}

impl Sample<'_> {
    fn file(&self, key: &str) -> Checkpoint {
        let path = self.case.folder.join(self.json[key].as_str().unwrap());
        let file = MemoryFile::new(path.display().to_string(), std::fs::read(&path).unwrap());
        block_on(Checkpoint::of_file(Arc::new(file))).unwrap()
    }
    fn ints(&self, key: &str, name: &str) -> Vec<usize> {
        block_on(self.file(key).load_i64(name)).unwrap().into_iter().map(|i| i as usize).collect()
    }
    fn floats(&self, name: &str) -> Vec<f32> {
        block_on(self.file("expected").load_f32(name)).unwrap()
    }
    fn ids(&self) -> Vec<u32> {
        self.ints("inputs", "input_ids").into_iter().map(|id| id as u32).collect()
    }
    /// Tokens with the features of pictures where `image` stands.
    fn spliced(&self, image: u32) -> Sequence {
        let ids = self.ids();
        let pictures = ids.iter().enumerate().filter(|(_, id)| **id == image).map(|(i, _)| i).collect();
        Sequence::new(ids, pictures)
    }
    fn check(&self, stage: &Stage) {
        let want = self.floats(&stage.name);
        let atol = self.json["stages"][&stage.name]["suggested_atol"].as_f64().unwrap() as f32;
        assert_eq!(stage.values.len(), want.len(), "{}", stage.name);
        for (i, (got, want)) in stage.values.iter().zip(&want).enumerate() {
            assert!((got - want).abs() <= atol + 1e-4 * want.abs(), "{}[{i}]: {got}, not {want}", stage.name);
        }
    }
    /// Features as the decoder gets them: rows of its input, or what its cross-attention layers see.
    fn features(&self, sequence: &Sequence) -> Vec<f32> {
        if sequence.pictures.is_empty() {
            return self.floats("connector");
        }
        let input = self.floats("llm.input");
        let width = input.len() / sequence.ids.len();
        sequence.pictures.iter().flat_map(|at| input[at * width..][..width].to_vec()).collect()
    }
    /// Prefills, compares every stage of the decoder, then takes greedy steps.
    fn run(&self, session: &mut Session, sequence: &Sequence) {
        // The decoder of a text configuration stands alone: its stages have no front.
        let whole =
            |name: &str| if name == "logits" || name.starts_with("llm.") { name.into() } else { format!("llm.{name}") };
        let listed = |name: &str| name.is_empty() || self.json["stages"].get(whole(name)).is_some();
        block_on(session.set_features(&self.features(sequence))).unwrap();
        let sequences = std::slice::from_ref(sequence);
        let stages = block_on(session.prefill(sequences, &[SampleSettings::default()], &[], true, &listed)).unwrap();
        let layers = self.case.model.spec.decoder.as_ref().unwrap().layers.len();
        assert!(stages.len() >= layers + 2, "{:?}", stages.iter().map(|s| &s.name).collect::<Vec<_>>());
        for stage in stages {
            self.check(&Stage { name: whole(&stage.name), ..stage });
        }
        assert_eq!(greedy(session), self.ints("expected", "generated_ids"));
    }
}

/// Logits of a prompt's last row, in a session whose keys and values, of features too, are kept so.
fn kept_logits(case: &Case, sequence: &Sequence, features: &[f32], kv: Option<CacheFormat>) -> Vec<f32> {
    let options = SessionOptions { context: sequence.ids.len() + NEW, max_new: NEW, kv, ..Default::default() };
    let mut session = Session::new(case.model.clone(), options);
    block_on(session.set_features(features)).unwrap();
    let sequences = std::slice::from_ref(sequence);
    block_on(session.prefill(sequences, &[SampleSettings::default()], &[], false, &|_| false)).unwrap();
    block_on(session.decode()).unwrap();
    block_on(session.arrived()).unwrap();
    block_on(session.chosen(true)).unwrap().logits
}

fn greedy(session: &mut Session) -> Vec<usize> {
    let mut ids = Vec::new();
    for step in 0..NEW {
        if step > 0 {
            block_on(session.decode()).unwrap();
            block_on(session.arrived()).unwrap();
        }
        ids.push(block_on(session.chosen(false)).unwrap().ids[0] as usize);
    }
    ids
}

/// Where the runs of `image` begin, with the grids (times, rows, columns) of patches halved.
fn grids(ids: &[u32], image: u32, grids: &[usize]) -> Vec<(usize, [usize; 3])> {
    let mut list = Vec::new();
    let mut from = 0;
    for grid in grids.chunks(3) {
        let grid = [grid[0], grid[1] / 2, grid[2] / 2];
        let first = from + ids[from..].iter().position(|id| *id == image).unwrap();
        list.push((first, grid));
        from = first + grid.iter().product::<usize>();
    }
    list
}

fn three_axes(name: &str) {
    let Some(case) = case(name, true) else { return };
    let image = 338;
    for i in 0..case.json["samples"].as_array().unwrap().len() {
        let sample = case.sample(i);
        let mut sequence = sample.spliced(image);
        let tokens = sequence.ids.len();
        let pictures = grids(&sequence.ids, image, &sample.ints("inputs", "image_grid_thw"));
        let positions = grid_positions(0, tokens, &pictures);
        let axis = |axis: usize| positions.iter().map(move |p| p[axis] as usize);
        let flat: Vec<usize> = axis(0).chain(axis(1)).chain(axis(2)).collect();
        assert_eq!(flat, sample.ints("inputs", "position_ids"));
        sequence.positions = Some(positions);
        sample.run(&mut case.session(tokens, None), &sequence);
        let mut session = case.session(tokens, Some(20));
        sample.run(&mut session, &sequence);
        // The last prompt tokens again, at positions that count on from the picture's.
        session.truncate(0, tokens - 3);
        let rest = Sequence::new(sequence.ids[tokens - 3..].to_vec(), Vec::new());
        block_on(session.prefill(&[rest], &[SampleSettings::default()], &[], false, &|_| false)).unwrap();
        assert_eq!(greedy(&mut session), sample.ints("expected", "generated_ids"));
    }
}

#[test]
fn qwen2_vl_stands_on_three_axes() {
    three_axes("cases/qwen2_vl");
}

#[test]
fn qwen2_5_vl_stands_on_three_axes() {
    three_axes("cases/qwen2_5_vl");
}

#[test]
fn mllama_attends_to_tiles() {
    let Some(case) = case("cases_extra/mllama", false) else { return };
    let sample = case.sample(0);
    let mut sequence = Sequence::new(sample.ids(), Vec::new());
    let tokens = sequence.ids.len();
    let image = sequence.ids.iter().position(|id| Some(*id) == case.model.spec.image_token).unwrap();
    let sight = tile_sight(tokens, &[(image, 4)], 4);
    let flags: Vec<bool> = sample.ints("inputs", "cross_attention_mask").iter().map(|f| *f != 0).collect();
    assert_eq!(sight, Sight { tiles: 4, flags });
    sequence.sight = Some(sight);
    sample.run(&mut case.session(tokens, None), &sequence);
    let mut session = case.session(tokens, Some(4));
    sample.run(&mut session, &sequence);
    // Rounding halves moves a logit by a few parts of 2048, codes of 8 bits by a few of 254.
    let features = sample.features(&sequence);
    let wide = kept_logits(&case, &sequence, &features, None);
    let largest = wide.iter().fold(0f32, |most, v| most.max(v.abs()));
    for (format, part) in [(CacheFormat::F16, 4.0 / 2048.0), (CacheFormat::Q8_0, 8.0 / 254.0)] {
        let narrow = kept_logits(&case, &sequence, &features, Some(format));
        let apart = wide.iter().zip(&narrow).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(apart > 0.0 && apart <= part * largest, "{format}: {apart} of {largest}");
    }
    session.truncate(0, tokens - 2);
    let rest = Sequence::new(sequence.ids[tokens - 2..].to_vec(), Vec::new());
    block_on(session.prefill(&[rest], &[SampleSettings::default()], &[], false, &|_| false)).unwrap();
    assert_eq!(greedy(&mut session), sample.ints("expected", "generated_ids"));
}
