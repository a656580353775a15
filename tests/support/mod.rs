//! What the integration tests share: golden cases from `kernels-test/goldens`, devices of a host, answers.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod gguf;

use omma::checkpoint::{Checkpoint, Directory, MemoryFile};
use omma::generate::{LoadOptions, Model, OpenModel, PictureSource, Pixels, Sequence, Session, SessionOptions};
use omma::gpu::{Device, OpenOptions};
use omma::image::{Limits, Picture, Policy};
use omma::kernels::SampleSettings;
use omma::{Result, wgpu};
use std::path::PathBuf;
use std::sync::Arc;

/// A sample of a golden case.
pub struct Golden {
    pub folder: PathBuf,
    sample: serde_json::Value,
}

impl Golden {
    pub fn new(name: &str, sample: usize) -> Self {
        let folder = goldens().join(name);
        let text = std::fs::read_to_string(folder.join("case.json")).unwrap();
        let case: serde_json::Value = serde_json::from_str(&text).unwrap();
        Self { folder, sample: case["samples"][sample].clone() }
    }
    pub async fn load(&self, device: &Device) -> Result<Arc<Model>> {
        let files = Directory::open(&self.folder)?;
        Ok(Arc::new(Model::load(device, &files, OpenModel::default(), LoadOptions::default()).await?))
    }
    fn file(&self, key: &str) -> Checkpoint {
        let path = self.folder.join(self.sample[key].as_str().unwrap());
        let file = MemoryFile::new(path.display().to_string(), std::fs::read(&path).unwrap());
        pollster::block_on(Checkpoint::of_file(Arc::new(file))).unwrap()
    }
    pub fn pixels(&self) -> (Vec<usize>, Vec<f32>) {
        let file = self.file("inputs");
        let shape = file.find("pixel_values").unwrap().shape.clone();
        (shape, pollster::block_on(file.load_f32("pixel_values")).unwrap())
    }
    /// The prompt of a sample of one sequence.
    pub fn sequence(&self, model: &Model) -> Sequence {
        let ids: Vec<u32> = self.ints("inputs", "input_ids").into_iter().map(|id| id as u32).collect();
        let token = model.spec.image_token;
        let pictures = ids.iter().enumerate().filter(|(_, id)| Some(**id) == token).map(|(i, _)| i).collect();
        Sequence::new(ids, pictures)
    }
    fn ints(&self, key: &str, name: &str) -> Vec<i64> {
        pollster::block_on(self.file(key).load_i64(name)).unwrap()
    }
    /// What is asked about the pictures of a sample, where its prompt is not given as ids.
    pub fn question(&self) -> String {
        self.sample["question"].as_str().unwrap().to_owned()
    }
    pub fn generated(&self) -> Vec<u32> {
        self.ints("expected", "generated_ids").into_iter().map(|id| id as u32).collect()
    }
    /// Checks a stage by the rule of the golden cases: `suggested_atol + 1e-4 * |expected|`.
    pub fn check(&self, stage: &str, got: &[f32]) {
        let want = pollster::block_on(self.file("expected").load_f32(stage)).unwrap();
        let atol = self.sample["stages"][stage]["suggested_atol"].as_f64().unwrap() as f32;
        assert_eq!(got.len(), want.len(), "{stage}");
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert!((got - want).abs() <= atol + 1e-4 * want.abs(), "{stage}[{i}]: {got}, not {want}");
        }
    }
    pub fn pictures(&self) -> Vec<Picture> {
        let names = self.sample["images"].as_array().unwrap().iter().map(|n| n.as_str().unwrap());
        names
            .map(|name| Picture::decode(name, &std::fs::read(self.folder.join(name)).unwrap(), &Limits::default()))
            .collect::<Result<_>>()
            .unwrap()
    }
    pub fn host_pictures(&self, model: &Model) -> Vec<Pixels> {
        self.pictures().into_iter().map(|p| pixels(model, PictureSource::Host(Arc::new(p)))).collect()
    }
}

/// A picture with the geometry that the model's preprocessing gives it.
pub fn pixels(model: &Model, source: PictureSource) -> Pixels {
    model.pixels(source, Policy::Auto).unwrap()
}

pub fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("kernels-test/goldens")
}

pub fn nothing(_: &str) -> bool {
    false
}

/// A device of our own.
pub fn own_device(floor: bool) -> Device {
    pollster::block_on(Device::open(&OpenOptions { floor, ..Default::default() })).unwrap()
}

/// Device and queue as a host would make them.
pub fn host_device(
    wants: impl FnOnce(&wgpu::Adapter) -> (wgpu::Features, wgpu::Limits),
) -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).unwrap();
    let (required_features, required_limits) = wants(&adapter);
    let descriptor = wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
    pollster::block_on(adapter.request_device(&descriptor)).unwrap()
}

/// Sizes of a session for one sequence of a golden case.
pub fn sizes() -> SessionOptions {
    SessionOptions { context: 256, max_new: 16, ..Default::default() }
}

/// What a run gives: ids and logits of all steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub ids: Vec<u32>,
    pub logits: Vec<f32>,
}

/// Encodes the planes of the inputs, if there are any.
pub async fn encode(session: &mut Session, golden: &Golden) -> Result<()> {
    if session.model().spec.vision.is_none() {
        return Ok(());
    }
    let (shape, values) = golden.pixels();
    session.set_pixels(&values).await?;
    session.encode(&omma::models::TowerInputs::same((shape[2], shape[3]), shape[0]), &nothing).await?;
    Ok(())
}

/// Prefill and greedy steps, from features that are there.
pub async fn answer(session: &mut Session, golden: &Golden, steps: usize) -> Result<Answer> {
    let sequence = golden.sequence(&session.model().clone());
    answer_to(session, sequence, steps).await
}

/// The same to a prompt that is given.
pub async fn answer_to(session: &mut Session, sequence: Sequence, steps: usize) -> Result<Answer> {
    session.prefill(&[sequence], &[SampleSettings::default()], &[], false, &nothing).await?;
    let first = session.chosen(true).await?;
    let mut answer = Answer { ids: first.ids, logits: first.logits };
    for _ in 1..steps {
        session.decode().await?;
        session.arrived().await?;
        let step = session.chosen(true).await?;
        answer.ids.extend(step.ids);
        answer.logits.extend(step.logits);
    }
    Ok(answer)
}

/// Checks a whole answer of 16 steps.
pub fn check_answer(golden: &Golden, answer: &Answer) {
    assert_eq!(answer.ids, golden.generated());
    golden.check("generated_logits", &answer.logits);
}
