//! `omma bench tiles`: inputs of a tower encoded together and one by one, with the memory that each takes.

use super::model::{Bench, RUNS, median};
use super::{Row, Subject, Timing, between_ceilings};
use omma::Result;
use omma::graph::{FuseOptions, Plan, RunOptions, fuse};
use omma::kernels::{Cost, TensorType};
use omma::measure::random;
use omma::models::{TowerInputs, encode_graph};
use std::time::Instant;

impl Bench<'_> {
    /// Two rows for each count of tiles: in one ragged batch, and one after the other.
    pub async fn tiles(&mut self, counts: &[usize]) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for count in counts {
            rows.push(self.encoded(*count, *count).await?);
            if *count > 1 {
                rows.push(self.encoded(*count, 1).await?);
            }
        }
        Ok(rows)
    }

    /// `count` tiles, `at_once` of them in a batch. Peak memory is that of weights, planes and one batch.
    async fn encoded(&mut self, count: usize, at_once: usize) -> Result<Row> {
        let size = (self.side, self.side);
        let inputs = TowerInputs::same(size, at_once);
        let planes = random(&TensorType::f32(&[at_once, 3, size.0, size.1]), 3, -1.0, 1.0);
        let planes: Vec<f32> = planes.data.iter().map(|v| *v as f32).collect();
        let graph = encode_graph(&self.session.model().spec, &inputs, false, self.session.model().compute)?;
        let plan = Plan::new(fuse(graph, &FuseOptions::default()), self.device.caps())?;
        let (cost, runs) = (plan.cost(), count / at_once);
        let cost = Cost { flops: cost.flops * runs as u64, bytes: cost.bytes * runs as u64 };
        let submits = runs * plan.pieces(RunOptions::default().piece).len();
        let (device, dtype) = (self.device, self.dtype.clone());
        // Programs and slots of larger batches would count.
        let mut session = self.fresh();
        session.set_pixels(&planes).await?;
        device.ledger().reset_peak();
        session.encode(&inputs, &|_| false).await?;
        let peak = device.ledger().memory().peak as f64 / 1e6;
        let how = if at_once == count { "together" } else { "one by one" };
        let name = format!("{} encode {count} tiles {how}", self.title);
        let shape = format!("{count}x3x{0}x{0}, peak {peak:.1} MB", self.side);
        let subject = Subject { name: &name, kernel: "encode", shape, dtype, cost };
        let work = async || {
            device.idle().await?;
            let before = device.ledger().memory().allocations;
            let mut times = Vec::new();
            for _ in 0..RUNS {
                let start = Instant::now();
                for _ in 0..runs {
                    session.encode(&inputs, &|_| false).await?;
                    device.idle().await?;
                }
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
            let made = device.ledger().memory().allocations - before;
            Ok(Timing { ms: median(times), submits, allocations: made as f64 / RUNS as f64 })
        };
        between_ceilings(device, &subject, work).await
    }
}
