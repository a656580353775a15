//! A whole model: one picture encoded, a prompt prefilled, tokens decoded.

use super::{Args, Row, Subject, Timing, between_ceilings};
use omma::checkpoint::{Config, open_model};
use omma::generate::{
    LoadOptions, MemoryPlan, Model, OpenModel, PlanRequest, Sequence, Session, SessionOptions, plan_memory,
    planned_image_tokens, random_model,
};
use omma::gpu::Device;
use omma::graph::RunOptions;
use omma::kernels::{SampleSettings, TensorType};
use omma::measure::random;
use omma::models::TowerInputs;
use omma::quant::Encoding;
use omma::{DType, Error, Result};
use std::sync::Arc;
use std::time::Instant;

/// Runs of encode and prefill, after one that is not counted.
pub const RUNS: usize = 3;

/// Times what the model has.
pub async fn rows(device: &Device, args: &Args) -> Result<Vec<Row>> {
    let (title, model) = match &args.model {
        Some(folder) if args.made_up => {
            let config = open_model(folder)?.read("config.json").await?.ok_or_else(|| Error::Io {
                path: format!("{folder}/config.json"),
                reason: "is not there; made-up weights take their shapes from it".into(),
            })?;
            let model = random_model(device, Config::parse("config.json", &config)?, args.weights, 1).await?;
            (model.spec.model_type.clone(), model)
        }
        Some(folder) => {
            let files = open_model(folder)?;
            let model = Model::load(device, &*files, OpenModel::default(), LoadOptions::default()).await?;
            (model.spec.model_type.clone(), model)
        }
        None => {
            let config = Config::parse("config.json", br#"{"model_type": "vit"}"#)?;
            ("ViT-B/16".to_owned(), random_model(device, config, args.weights, 1).await?)
        }
    };
    let spec = &model.spec;
    let side = spec.vision.as_ref().map_or(0, |t| t.image_size);
    let request = PlanRequest {
        pictures: if side > 0 { vec![(side as u32, side as u32)] } else { Vec::new() },
        prompt_tokens: args.prompt_tokens.max(1),
        context: 4096,
        max_new: args.tokens + 2,
        kv: args.kv,
        ..Default::default()
    };
    let rows_of_pictures = planned_image_tokens(spec, None, &request)?;
    let context = rows_of_pictures + request.prompt_tokens + request.max_new;
    let plan = plan_memory(spec, None, device.caps(), &PlanRequest { context, ..request.clone() })?;
    let options = SessionOptions { context, max_new: request.max_new, kv: args.kv, ..Default::default() };
    let session = Session::new(Arc::new(model), options);
    let mut dtype = match args.weights {
        Encoding::Float(DType::F32) => "f32".into(),
        weights => format!("f32, weights {weights}"),
    };
    if let Some(kv) = args.kv {
        dtype += &format!(", cache {kv}");
    }
    let mut bench = Bench { device, title, dtype, session, plan, side, args };
    bench.run().await
}

pub struct Bench<'b> {
    /// Device.
    pub device: &'b Device,
    /// Name of the model.
    pub title: String,
    /// Types of activations and weights.
    pub dtype: String,
    /// The model's session.
    pub session: Session,
    plan: MemoryPlan,
    /// Side of the tower's inputs; 0 without a tower.
    pub side: usize,
    args: &'b Args,
}

impl Bench<'_> {
    async fn run(&mut self) -> Result<Vec<Row>> {
        if self.args.what == "tiles" {
            let counts = if self.side > 0 { self.args.tiles.as_slice() } else { &[] };
            return self.tiles(counts).await;
        }
        let mut rows = Vec::new();
        if self.side > 0 {
            rows.push(self.encode().await?);
        }
        if self.session.model().spec.decoder.is_some() {
            rows.push(self.prefill().await?);
            rows.push(self.decode().await?);
        }
        if rows.is_empty() {
            return Err(Error::unsupported("bench of this model", "it has neither a picture tower nor a decoder"));
        }
        Ok(rows)
    }

    /// A session without programs.
    pub fn fresh(&self) -> Session {
        Session::new(self.session.model().clone(), self.session.options().clone())
    }

    /// Work and submits of a program, and how the row is called.
    fn subject(&self, name: &'static str, shape: String) -> Result<(String, String, omma::kernels::Cost, usize)> {
        let found = self.plan.programs.iter().find(|p| p.name == name);
        let program = found.ok_or_else(|| Error::graph(name, "is not planned"))?;
        let submits = if name == "decode" { 1 } else { program.plan.pieces(RunOptions::default().piece).len() };
        Ok((format!("{} {name}", self.title), shape, program.plan.cost(), submits))
    }

    async fn encode(&mut self) -> Result<Row> {
        let shape = [1, 3, self.side, self.side];
        let (name, shape_text, cost, submits) = self.subject("encode", format!("1x3x{0}x{0}", self.side))?;
        let planes = random(&TensorType::f32(&shape), 3, -1.0, 1.0);
        let planes: Vec<f32> = planes.data.iter().map(|v| *v as f32).collect();
        self.session.set_pixels(&planes).await?;
        let dtype = self.dtype.clone();
        let inputs = TowerInputs::same((self.side, self.side), 1);
        let (device, session) = (self.device, &mut self.session);
        let subject = Subject { name: &name, kernel: "encode", shape: shape_text, dtype, cost };
        let work = async || {
            session.encode(&inputs, &|_| false).await?;
            device.idle().await?;
            let before = device.ledger().memory().allocations;
            let mut times = Vec::new();
            for _ in 0..RUNS {
                let start = Instant::now();
                session.encode(&inputs, &|_| false).await?;
                device.idle().await?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
            let made = device.ledger().memory().allocations - before;
            Ok(Timing { ms: median(times), submits, allocations: made as f64 / RUNS as f64 })
        };
        between_ceilings(device, &subject, work).await
    }

    fn prompt(&self) -> Sequence {
        let model = self.session.model();
        let rows = self.session.feature_rows();
        let vocab = model.spec.decoder.as_ref().map_or(1, |d| d.vocab).max(1);
        let mut ids = vec![model.spec.image_token.unwrap_or(0); rows];
        ids.extend((0..self.args.prompt_tokens.max(1)).map(|i| (i * 7919 % vocab) as u32));
        Sequence::new(ids, (0..rows).collect())
    }

    async fn prefill(&mut self) -> Result<Row> {
        let prompt = self.prompt();
        let (name, shape, cost, submits) = self.subject("prefill", format!("{} tokens", prompt.ids.len()))?;
        let dtype = self.dtype.clone();
        let inputs = TowerInputs::same((self.side, self.side), 1);
        let (device, session) = (self.device, &mut self.session);
        let subject = Subject { name: &name, kernel: "prefill", shape, dtype, cost };
        let work = async || {
            let (mut times, mut made) = (Vec::new(), 0);
            for run in 0..=RUNS {
                session.reset();
                if !prompt.pictures.is_empty() {
                    session.encode(&inputs, &|_| false).await?;
                }
                device.idle().await?;
                let before = device.ledger().memory().allocations;
                let start = Instant::now();
                let settings = [SampleSettings::default()];
                session.prefill(std::slice::from_ref(&prompt), &settings, &[], false, &|_| false).await?;
                device.idle().await?;
                if run > 0 {
                    times.push(start.elapsed().as_secs_f64() * 1e3);
                    made += device.ledger().memory().allocations - before;
                }
            }
            Ok(Timing { ms: median(times), submits, allocations: made as f64 / RUNS as f64 })
        };
        between_ceilings(device, &subject, work).await
    }

    /// After a prefill. The first step is not counted: it builds the program.
    async fn decode(&mut self) -> Result<Row> {
        let (name, shape, cost, submits) = self.subject("decode", "1 token".into())?;
        let dtype = self.dtype.clone();
        let (device, count, session) = (self.device, self.args.tokens.max(1), &mut self.session);
        let subject = Subject { name: &name, kernel: "decode", shape, dtype, cost };
        let work = async || {
            session.decode().await?;
            session.arrived().await?;
            let before = device.ledger().memory().allocations;
            let mut times = Vec::new();
            for _ in 0..count {
                let start = Instant::now();
                session.decode().await?;
                session.arrived().await?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
            let made = device.ledger().memory().allocations - before;
            Ok(Timing { ms: median(times), submits, allocations: made as f64 / count as f64 })
        };
        between_ceilings(device, &subject, work).await
    }
}

pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}
