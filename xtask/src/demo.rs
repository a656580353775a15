//! `cargo xtask demo`: the model of the repository answers about the pictures of the repository, with the plan of
//! slices, time and memory.

use crate::driver;
use crate::steps::{self, cargo, output, run, show};
use crate::tasks::{announce, with};
use serde_json::Value;
use std::process::Command;
use std::time::Instant;

/// The checkpoint in the repository.
const MODEL: &str = "assets/omma-demo";
const READ: &str = "Read the text.";
/// Pictures below `assets/demo`, what is asked about each, and whether its plan is shown.
const TOUR: &[(&str, &str, bool)] = &[
    ("receipt.png", "What is the total?", true),
    ("receipt.png", READ, false),
    ("sign.png", READ, false),
    ("form.png", READ, false),
    ("chart.png", "Describe the picture.", false),
    ("shapes.png", "What shapes are there?", false),
    ("page.png", READ, true),
];

/// `demo [args]`: the tour; with arguments one `omma describe` with them, as a short way to run it with a driver.
pub fn demo(args: &[String]) -> Result<bool, String> {
    if !steps::root().join(MODEL).join("config.json").exists() {
        return Err(format!("{MODEL} is not in this checkout"));
    }
    let adapter = driver::any()?;
    announce(&adapter);
    if !run(&mut cargo(&["build", "--package", "omma", "--bin", "omma"]))? {
        return Ok(false);
    }
    let omma = || with(cargo(&["run", "--quiet", "--package", "omma", "--bin", "omma", "--"]), &adapter);
    if !args.is_empty() {
        return run(omma().arg("describe").args(args));
    }
    for (picture, question, plan) in TOUR {
        let picture = format!("assets/demo/{picture}");
        if *plan {
            let mut tiles = omma();
            tiles.args(["tiles", &picture, "--model", MODEL]);
            println!("\n$ {}\n{}", typed(&tiles), output(&mut tiles)?.trim_end());
        }
        ask(omma(), &picture, question, &[])?;
    }
    println!(
        "\nThe same page without slices: the tower sees all of it in the size of one slice, and small print is lost."
    );
    ask(omma(), "assets/demo/page.png", READ, &["--tiling", "none"])?;
    println!("\nHow good it is, by height of text: {MODEL}/README.md.");
    Ok(true)
}

/// A command as one would type it with `omma` installed.
fn typed(command: &Command) -> String {
    let whole = show(command);
    let own = whole.split_once(" -- ").map_or(whole.as_str(), |(_, own)| own);
    format!("omma {own}")
}

/// One question about one picture: the answer, and what it took.
fn ask(mut omma: Command, picture: &str, question: &str, more: &[&str]) -> Result<(), String> {
    omma.args(["describe", picture]).args(more).args(["--prompt", question]);
    println!("\n$ {}", typed(&omma));
    let start = Instant::now();
    let text = output(omma.arg("--json"))?;
    let seconds = start.elapsed().as_secs_f64();
    let said: Value = serde_json::from_str(&text).map_err(|e| format!("omma describe --json: {e}"))?;
    let ms = |part: &str| said["ms"][part].as_f64().unwrap_or_default() / 1e3;
    println!("{}", said["answer"].as_str().unwrap_or_default());
    println!(
        "  [{seconds:.1} s from its start: load {:.1}, encode {:.1}, prefill {:.1}, decode {:.1}; {} tile{} as {} tokens; \
         {:.0} MB on the device at most]",
        ms("load"),
        ms("preprocess") + ms("encode"),
        ms("prefill"),
        ms("decode"),
        said["tiles"],
        if said["tiles"] == 1 { "" } else { "s" },
        said["image_tokens"],
        said["memory"]["peak"].as_f64().unwrap_or_default() / 1e6,
    );
    Ok(())
}
