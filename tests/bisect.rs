//! Bisecting a model with a fault in one shader: the step is named, and its record runs again with and without it.

mod support;

use omma::generate::Session;
use omma::gpu::{Device, HostOptions};
use omma::graph::{ReplayShaders, StepRecord};
use omma::{Error, wgsl};
use std::collections::HashMap;
use support::*;

/// A device whose RMS norms take twice their epsilon.
fn broken(sound: &Device) -> Device {
    let text = wgsl::source("rms_norm").unwrap();
    let fault = text.replacen("mean + params.eps", "mean + 9.0 * params.eps", 1);
    assert_ne!(text, fault);
    let shaders = HashMap::from([("rms_norm".to_owned(), fault)]);
    let options = HostOptions { shaders, ..HostOptions::default() };
    Device::from_host(sound.wgpu().clone(), sound.queue().clone(), &options)
}

async fn prefilled(device: &Device) -> Session {
    let golden = Golden::new("llava15_gqa", 0);
    let model = golden.load(device).await.unwrap();
    let mut session = Session::new(model, sizes());
    encode(&mut session, &golden).await.unwrap();
    answer(&mut session, &golden, 1).await.unwrap();
    session
}

#[test]
fn the_record_of_a_fault_runs_again_with_it_and_not_without() {
    let sound = own_device(false);
    let session = pollster::block_on(prefilled(&broken(&sound)));
    let record = pollster::block_on(session.bisect()).unwrap().expect("the fault is seen");
    assert_eq!(record.cell.kernel, "rms_norm", "{:?}", record.cell);
    let files: HashMap<String, Vec<u8>> = record.to_files().unwrap().into_iter().collect();
    let read = |name: &str| files.get(name).cloned().ok_or_else(|| Error::argument(name, "is not there"));
    let again = StepRecord::from_files(read).unwrap();
    assert_eq!(again, *record);
    // Whatever device: the text that ran is in the record.
    let recorded = pollster::block_on(again.replay(&sound, ReplayShaders::Recorded)).unwrap();
    let recorded = recorded.expect("the record has the fault");
    assert_eq!((recorded.cell, &recorded.step), (record.cell.cell, &record.cell.step));
    assert_eq!(recorded.got, record.cell.got);
    assert_eq!(pollster::block_on(again.replay(&sound, ReplayShaders::Built)).unwrap(), None);
    let readme = String::from_utf8(read("README.md").unwrap()).unwrap();
    assert!(readme.contains("omma bisect --replay"), "{readme}");
}

/// The exit code of `omma bisect --replay`.
#[cfg(feature = "cli")]
fn replayed(folder: &std::path::Path, shaders: &str) -> (Option<i32>, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_omma"));
    let done = command.arg("bisect").arg("--replay").arg(folder).args(["--shaders", shaders]).output().unwrap();
    (done.status.code(), String::from_utf8(done.stdout).unwrap())
}

#[cfg(feature = "cli")]
#[test]
fn the_command_ends_with_1_where_the_fault_is() {
    let session = pollster::block_on(prefilled(&broken(&own_device(false))));
    let record = pollster::block_on(session.bisect()).unwrap().unwrap();
    let folder = std::env::temp_dir().join(format!("omma-bisect-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in record.to_files().unwrap() {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let (recorded, built) = (replayed(&folder, "recorded"), replayed(&folder, "built"));
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(recorded.0, Some(1), "{}", recorded.1);
    assert!(recorded.1.contains(&record.cell.step), "{}", recorded.1);
    assert_eq!(built.0, Some(0), "{}", built.1);
}

#[test]
fn a_sound_model_has_no_record() {
    let session = pollster::block_on(prefilled(&own_device(false)));
    assert_eq!(pollster::block_on(session.bisect()).unwrap(), None);
}

#[test]
fn hostile_records_are_errors() {
    let sound = own_device(false);
    let session = pollster::block_on(prefilled(&broken(&sound)));
    let record = pollster::block_on(session.bisect()).unwrap().unwrap();
    let files: HashMap<String, Vec<u8>> = record.to_files().unwrap().into_iter().collect();
    let text = String::from_utf8(files["step.json"].clone()).unwrap();
    let with = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let read = |name: &str| match name {
            "step.json" => Ok(changed.clone().into_bytes()),
            _ => files.get(name).cloned().ok_or_else(|| Error::argument(name, "is not there")),
        };
        let record = StepRecord::from_files(read)?;
        pollster::block_on(record.replay(&sound, ReplayShaders::Recorded)).map(|_| ())
    };
    with("\"format\": 1", "\"format\": 2").unwrap_err();
    with("launch_0.wgsl", "../launch_0.wgsl").unwrap_err();
    with("\"pieces\": 1", "\"pieces\": 99999999999").unwrap_err();
    with("\"updates_input\": null", "\"updates_input\": 77").unwrap_err();
    with("\"rows\",", "\"columns\",").unwrap_err();
    with("\"dtype\": \"f32\"", "\"dtype\": \"bool\"").unwrap_err();
    with("\"shape\": [", "\"shape\": [ 99999999999999, 99999999999999,").unwrap_err();
    with("{", "").unwrap_err();
}
