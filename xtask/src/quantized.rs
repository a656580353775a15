//! `quantized`: how far golden cases go from the original's f32 logits when their matrices are kept in packed formats.
//!
//! Each case runs through `omma run --weights FORMAT`; its logits are compared with those that the original model computed,
//! token by token. What is printed is the table of `docs/BENCHMARKS.md`. Logits in q8_0 have to be off by no more, as a part of
//! their size, than the errors of all matrices together; why is said in `tests/quantized.rs`. Where one matrix alone is packed both
//! are told, no more: errors have nothing to add up with.

use crate::driver::Adapter;
use crate::goldens::{Tensor, adapters, case_folder, case_json, folder, listed, numbered, read};
use crate::steps::{cargo, output, root};
use clap::ArgMatches;
use std::path::Path;

/// Formats that hold rows of any width or of whole blocks of 32 values.
const FORMATS: &str = "f32,f16,bf16,q8_0,q5_1,q5_0,q4_1,q4_0,iq4_nl,mxfp4,int8,fp8";

/// `quantized [filter] [--weights LIST] [--adapter A]`.
pub fn command(args: &ArgMatches) -> Result<bool, String> {
    let filter = args.get_one::<String>("filter").map_or("", String::as_str);
    let formats = args.get_one::<String>("weights").map_or(FORMATS, String::as_str);
    let folder = folder().ok_or("no golden cases: put them in ../shared beside the repository, or set OMMA_SHARED")?;
    output(&mut cargo(&["build", "--quiet", "--package", "omma", "--bin", "omma"]))?;
    let adapter = adapters(args)?.into_iter().next().ok_or("no adapter")?;
    println!("| case | format | matrices that stay floats | KL, nats a token | top-1 | logits off by, of their size |");
    println!("|---|---|---|---|---|---|");
    let mut good = true;
    for name in listed(filter)? {
        let case = case_folder(&folder, &name);
        for format in formats.split(',') {
            let Some(row) = one(&adapter, &case, format)? else { continue };
            println!("| {} | {format} | {} |", name.trim_start_matches("cases/"), row.show());
            let errors = if format == "q8_0" { errors(&adapter, &case, format)? } else { Vec::new() };
            if !errors.is_empty() {
                let bound: f64 = errors.iter().sum();
                let within = row.distance.off() <= bound;
                eprintln!("{name}: q8_0 is {} {:.2} %", if within { "within" } else { "BEYOND" }, 100.0 * bound);
                good &= within || errors.len() == 1;
            }
        }
    }
    Ok(good)
}

struct Row {
    floats: u64,
    distance: Distance,
}

impl Row {
    fn show(&self) -> String {
        format!("{} | {}", self.floats, self.distance.show())
    }
}

/// What packed matrices of a case are off by, each as a part of its size.
fn errors(adapter: &Adapter, case: &Path, format: &str) -> Result<Vec<f64>, String> {
    let out = root().join("target/goldens/quantized");
    let mut command = omma(adapter, &["quantize", "--json", "--to", format]);
    let text = output(command.arg(case).arg(&out))?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| format!("what omma printed: {e}"))?;
    Ok(json["layers"].as_array().into_iter().flatten().filter_map(|l| l["relative_error"].as_f64()).collect())
}

/// A row of the table; none where a case has no logits of tokens.
fn one(adapter: &Adapter, case: &Path, format: &str) -> Result<Option<Row>, String> {
    let out = root().join("target/goldens/quantized.safetensors");
    std::fs::create_dir_all(root().join("target/goldens")).map_err(|e| e.to_string())?;
    let json = case_json(case)?;
    let samples: Vec<_> = json["samples"].as_array().into_iter().flatten().collect();
    if !samples.iter().all(|s| s["stages"]["logits"].is_object() && s["stages"]["generated_ids"].is_object()) {
        return Ok(None);
    }
    let mut command = omma(adapter, &["run", "--weights", format, "--dump"]);
    output(command.arg(&out).arg(case))?;
    let mut all = Distance::default();
    for (i, sample) in samples.iter().enumerate() {
        let dump = if i == 0 { out.clone() } else { out.with_file_name(numbered(&out, i)) };
        let (mut got, inputs) = (read(&dump)?, sample["inputs"].as_str().unwrap_or("inputs.safetensors"));
        let stage = &sample["stages"]["logits"];
        let mut want = read(&case.join(stage["file"].as_str().unwrap_or("expected.safetensors")))?;
        let want = want.remove(stage["tensor"].as_str().unwrap_or("logits")).ok_or("the case has no logits")?;
        let got = got.remove("logits").ok_or("no logits were dumped")?;
        all.add(&got, &want, read(&case.join(inputs))?.get("attention_mask"))?;
    }
    let floats = output(omma(adapter, &["plan", "--json", "--no-image", "--weights", format]).arg(case))?;
    let plan: serde_json::Value = serde_json::from_str(&floats).map_err(|e| format!("what omma printed: {e}"))?;
    Ok(Some(Row { floats: plan["unpacked_matrices"].as_u64().unwrap_or(0), distance: all }))
}

fn omma(adapter: &Adapter, args: &[&str]) -> std::process::Command {
    let mut command = cargo(&["run", "--quiet", "--package", "omma", "--bin", "omma", "--"]);
    command.args(args);
    adapter.select(&mut command);
    command
}

/// Sums over tokens.
#[derive(Debug, Default, PartialEq)]
struct Distance {
    tokens: usize,
    kl: f64,
    agree: usize,
    off: f64,
    size: f64,
}

impl Distance {
    /// Adds the rows that the mask leaves in.
    fn add(&mut self, got: &Tensor, want: &Tensor, mask: Option<&Tensor>) -> Result<(), String> {
        if got.shape() != want.shape() {
            return Err(format!("logits {:?}, not {:?}", got.shape(), want.shape()));
        }
        let vocabulary = want.shape().last().copied().unwrap_or(1).max(1);
        let mask = mask.filter(|m| m.data().len() * vocabulary == want.data().len());
        let rows = got.data().chunks(vocabulary).zip(want.data().chunks(vocabulary));
        for (i, (got, want)) in rows.enumerate() {
            if mask.is_some_and(|m| m.data().get(i) == Some(&0.0)) {
                continue;
            }
            self.tokens += 1;
            self.kl += divergence(want, got);
            self.agree += usize::from(best(want) == best(got));
            self.off += got.iter().zip(want).map(|(g, w)| (g - w).powi(2)).sum::<f64>();
            self.size += want.iter().map(|w| w * w).sum::<f64>();
        }
        Ok(())
    }
    /// What logits are off by, as a part of their size.
    fn off(&self) -> f64 {
        (self.off / self.size.max(f64::MIN_POSITIVE)).sqrt()
    }
    fn show(&self) -> String {
        let kl = self.kl / self.tokens.max(1) as f64;
        format!("{kl:.1e} | {} of {} | {:.2} %", self.agree, self.tokens, 100.0 * self.off())
    }
}

fn best(logits: &[f64]) -> Option<usize> {
    (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]).then(b.cmp(a)))
}

fn log_shares(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum = logits.iter().map(|l| (l - top).exp()).sum::<f64>().ln();
    logits.iter().map(|l| l - top - sum).collect()
}

/// Kullback-Leibler divergence of the distribution of `got` from that of `want`, in nats.
fn divergence(want: &[f64], got: &[f64]) -> f64 {
    log_shares(want).iter().zip(log_shares(got)).map(|(w, g)| w.exp() * (w - g)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_divergence_by_hand() {
        let (half, quarter) = (2f64.ln(), 4f64.ln());
        // Of (1/2, 1/2) from (1/4, 3/4).
        let want = 0.5 * (quarter - half) + 0.5 * ((4.0f64 / 3.0).ln() - half);
        assert!((divergence(&[0.0, 0.0], &[0.0, 3f64.ln()]) - want).abs() < 1e-12);
        assert!(divergence(&[1.0, 2.0, 5.0], &[3.0, 4.0, 7.0]).abs() < 1e-12, "a shift changes nothing");
        assert_eq!((best(&[1.0, 3.0, 3.0]), best(&[])), (Some(1), None));
    }

    #[test]
    fn hidden_tokens_do_not_count() {
        let of = |data: &[f64], shape: &[usize]| Tensor::of(shape, data);
        let (want, got) = (of(&[1.0, 0.0, 0.0, 1.0], &[1, 2, 2]), of(&[0.0, 9.0, 0.0, 1.0], &[1, 2, 2]));
        let mut all = Distance::default();
        assert!(all.add(&got, &want, Some(&of(&[0.0, 1.0], &[1, 2]))).is_ok());
        assert_eq!((all.tokens, all.agree, all.off), (1, 1, 0.0));
        assert!(all.add(&want, &of(&[1.0], &[1, 1, 1]), None).is_err());
    }
}
