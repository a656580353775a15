//! Host memory while weights are loaded: it stays under a bound that does not grow with the model or with its tensors.
//!
//! A software adapter keeps its buffers in host memory; they are taken off by the ledger's count.
#![cfg(target_os = "linux")]

mod support;

use omma::checkpoint::Directory;
use omma::generate::{LoadOptions, Model, OpenModel};
use omma::quant::Encoding;
use pollster::block_on;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use support::own_device;

/// 512 MiB and wgpu's window of 64 MiB.
const MOST: i64 = (512 + 64) << 20;
const VOCAB: usize = 160_000;
const WIDTH: usize = 2048;

/// Anonymous and shared host memory of this process: not the pages of mapped files.
fn held() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kilobytes = |key: &str| -> i64 {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("0 kB");
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
    };
    (kilobytes("RssAnon:") + kilobytes("RssShmem:")) << 10
}

/// A decoder of one layer and a large table in f16, its weights a hole in a file: zeros that take no disk.
fn sparse(folder: &Path) {
    let config = serde_json::json!({"model_type": "llama", "hidden_size": WIDTH, "intermediate_size": 512,
        "num_hidden_layers": 1, "num_attention_heads": 16, "vocab_size": VOCAB, "tie_word_embeddings": true});
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let layer = "model.layers.0";
    let mut tensors = vec![("model.embed_tokens.weight".to_owned(), vec![VOCAB, WIDTH])];
    for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
        tensors.push((format!("{layer}.self_attn.{name}.weight"), vec![WIDTH, WIDTH]));
    }
    for (name, shape) in [("gate_proj", [512, WIDTH]), ("up_proj", [512, WIDTH]), ("down_proj", [WIDTH, 512])] {
        tensors.push((format!("{layer}.mlp.{name}.weight"), shape.to_vec()));
    }
    for name in ["model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm", "model.norm"] {
        tensors.push((format!("{name}.weight"), vec![WIDTH]));
    }
    let (mut header, mut at) = (serde_json::Map::new(), 0);
    for (name, shape) in tensors {
        let bytes = 2 * shape.iter().product::<usize>();
        let entry = serde_json::json!({"dtype": "F16", "shape": shape, "data_offsets": [at, at + bytes]});
        header.insert(name, entry);
        at += bytes;
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut front = (header.len() as u64).to_le_bytes().to_vec();
    front.extend(header);
    let file = std::fs::File::create(folder.join("model.safetensors")).unwrap();
    std::io::Write::write_all(&mut &file, &front).unwrap();
    file.set_len((front.len() + at) as u64).unwrap();
}

#[test]
fn loading_holds_a_bounded_piece_of_the_model() {
    let folder = std::env::temp_dir().join(format!("omma-memory-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    sparse(&folder);
    for weights in [None, Encoding::named("q4_0").ok()] {
        let device = own_device(false);
        // What driver and process hold before anything is loaded.
        let before = held() - device.ledger().memory().live as i64;
        let (done, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let watch = std::thread::spawn({
            let (done, peak, device) = (done.clone(), peak.clone(), device.clone());
            move || {
                while !done.load(Ordering::Relaxed) {
                    // Buffers count from when they are made, their pages from when they are written.
                    let own = held() - before - device.ledger().memory().live as i64;
                    peak.fetch_max(own, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        });
        let open = OpenModel { weights, ..OpenModel::default() };
        let model = block_on(Model::load(&device, &Directory::open(&folder).unwrap(), open, LoadOptions::default()));
        done.store(true, Ordering::Relaxed);
        watch.join().unwrap();
        let live = model.map(|model| model.device.ledger().memory().live).unwrap();
        let peak = peak.load(Ordering::Relaxed);
        eprintln!("{weights:?}: {} MB beside {} MB of buffers", peak >> 20, live >> 20);
        assert!(peak < MOST, "{weights:?}: {} MB", peak >> 20);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
