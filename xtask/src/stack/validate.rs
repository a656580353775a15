//! `stack validate`: kernels and integration tests under the validation layer of Vulkan. The layer is unpacked, not
//! installed: wgpu turns on an installed one in every debug build.

use crate::driver::{self, apt};
use crate::steps::{self, Env, cargo, root};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const LAYER: &str = "VK_LAYER_KHRONOS_validation";
const PACKAGE: &str = "vulkan-validationlayers";

/// Settings of the layer: everything on standard output, also what the layer says of itself.
pub const SETTINGS: &str = "khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.report_flags = error,warn,info
khronos_validation.log_filename = stdout
";

/// Messages of a layer that are wrong: identifier, part of the text, and why.
type Known = (&'static str, &'static str, &'static str);

/// Those of the layer of Debian 12 (1.3.239).
const KNOWN: &[Known] = &[(
    "UNASSIGNED-CoreValidation-Shader-InconsistentSpirv",
    "Invalid source language operand: 10",
    "10 is WGSL, which debug builds of wgpu name as the source; the layer's SPIRV-Tools are older than that number",
)];

/// Integration tests that use a device.
const TESTS: [&str; 15] = [
    "bisect",
    "chat",
    "decoders",
    "demo",
    "faults",
    "floor",
    "fuse",
    "generate",
    "host",
    "kv_cache",
    "mmproj",
    "native",
    "pictures",
    "plan",
    "quantized",
];

/// The others: `hostile` reads what `omma` prints, and the layer prints in between; `formats` and `tiles` use no device; `memory` counts
/// bytes that the layer takes as well; `hub` is a command of its own.
#[cfg(test)]
const NOT_RUN: [&str; 5] = ["formats", "hostile", "hub", "memory", "tiles"];

/// Runs the cases whose `kernel/name` contains `filter` and, without a filter, the integration tests.
pub fn check(filter: &str) -> Result<bool, String> {
    let adapter = driver::lavapipe(false)?;
    let layer = layer()?;
    let with = |mut command: Command| {
        adapter.select(&mut command);
        let libraries = adapter.env.iter().find(|(k, _)| k == "LD_LIBRARY_PATH").map(|(_, v)| v.clone());
        for (key, value) in &layer {
            let more = libraries.as_ref().filter(|_| key == "LD_LIBRARY_PATH");
            command.env(key, more.map_or(value.clone(), |m| format!("{value}:{m}")));
        }
        command
    };
    let mut kernels = cargo(&["run", "--quiet", "--package", "kernels-test", "--", "test", "--filter", filter]);
    kernels = with(kernels);
    let mut good = run(&mut kernels, KNOWN)?;
    if filter.is_empty() {
        let mut tests = cargo(&["test", "--package", "omma", "--no-fail-fast"]);
        tests.args(TESTS.iter().flat_map(|test| ["--test", test]));
        let mut tests = with(tests);
        good &= run(&mut tests, KNOWN)?;
    }
    Ok(good)
}

/// Variables that turn the layer on, with its settings in a file.
pub fn environment(settings: &str) -> Env {
    let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
    vec![pair("VK_INSTANCE_LAYERS", LAYER), pair("VK_LAYER_SETTINGS_PATH", settings)]
}

/// The layer, unpacked under `target`, as variables.
fn layer() -> Result<Env, String> {
    let folder = root().join("target/driver/validation");
    if !folder.is_dir() {
        apt::available().map_err(|e| format!("no {PACKAGE}: {e}"))?;
        eprintln!("Unpacking {PACKAGE} under target/driver.");
        let private = apt::Private::open(&root().join("target/driver/apt"))?;
        private.unpack_with_dependencies(&[PACKAGE], &folder)?;
    }
    let settings = folder.join("settings.txt");
    super::write(&settings, SETTINGS)?;
    let libraries: Vec<String> =
        driver::library_folders(&folder).iter().map(|p| p.to_string_lossy().into_owned()).collect();
    let explicit = folder.join("usr/share/vulkan/explicit_layer.d");
    let mut env = environment(&settings.to_string_lossy());
    env.push(("VK_LAYER_PATH".into(), explicit.to_string_lossy().into_owned()));
    env.push(("LD_LIBRARY_PATH".into(), libraries.join(":")));
    Ok(env)
}

/// Runs a command under the layer; true if it succeeds, the layer was there, and said nothing that is not known.
pub fn run(command: &mut Command, known: &[Known]) -> Result<bool, String> {
    eprintln!("$ {}", steps::show(command));
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| format!("{}: {e}", steps::show(command)))?;
    let lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let mut said = Said::default();
    for line in lines {
        said.line(&line.map_err(|e| e.to_string())?, known);
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    for (identifier, count) in &said.known {
        println!("validation: {count} x {identifier}, which is known to be wrong");
    }
    println!(
        "validation: the layer was on in {} instances and said {} things that are not known",
        said.instances, said.unknown
    );
    Ok(status.success() && said.instances > 0 && said.unknown == 0)
}

/// What a layer has said so far.
#[derive(Debug, Default, PartialEq)]
struct Said {
    instances: usize,
    unknown: usize,
    known: BTreeMap<&'static str, usize>,
}

impl Said {
    /// Takes a line of output: counts messages, prints those that are not known and what the program itself says.
    fn line(&mut self, line: &str, known: &[Known]) {
        if line.contains("Khronos Validation Layer Active") {
            self.instances += 1;
        }
        let message = ["Validation Error:", "Validation Warning:", "Validation Performance Warning:"];
        if !message.iter().any(|m| line.contains(m)) {
            let about = ["Validation Information:", "Objects: ", "    Settings File:", "    Current "];
            let ours = !line.trim().is_empty() && !about.iter().any(|a| line.contains(a)) && !line.contains("[0] ");
            if ours {
                println!("{line}");
            }
            return;
        }
        match known.iter().find(|(identifier, text, _)| line.contains(identifier) && line.contains(text)) {
            Some((identifier, _, _)) => *self.known.entry(identifier).or_default() += 1,
            None => {
                self.unknown += 1;
                println!("{line}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[&str]) -> Said {
        let mut said = Said::default();
        lines.iter().for_each(|line| said.line(line, KNOWN));
        said
    }

    #[test]
    fn messages_are_told_from_output() {
        let quiet = said(&["Validation Information: [ X ] Khronos Validation Layer Active:", "kernels: 3 passed"]);
        assert_eq!(quiet, Said { instances: 1, ..Said::default() });
        assert_eq!(said(&["VUID-vkA(ERROR / SPEC): msgNum: 1 - Validation Error: [ VUID-vkA ] bad"]).unknown, 1);
        assert_eq!(said(&["Validation Warning: [ W ] | MessageID = 0x1"]).unknown, 1);
    }

    #[test]
    fn every_integration_test_is_run_or_is_known_not_to_be() {
        let entries = std::fs::read_dir(root().join("tests")).unwrap().flatten().map(|e| e.path());
        let is_test = |p: &std::path::PathBuf| p.extension().is_some_and(|e| e == "rs") || p.join("main.rs").is_file();
        for path in entries.filter(is_test) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let listed = TESTS.iter().chain(&NOT_RUN).filter(|t| **t == name).count();
            assert_eq!(listed, 1, "{name} is in neither list, or in both");
        }
    }

    #[test]
    fn a_known_message_is_known_by_its_text_too() {
        let (identifier, text, _) = KNOWN[0];
        let line = |text: &str| format!("Validation Error: [ {identifier} ] SPIR-V module not valid: {text}");
        assert_eq!(said(&[&line(text)]).unknown, 0);
        assert_eq!(said(&[&line("Result <id> is not defined")]).unknown, 1);
    }
}
