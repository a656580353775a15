//! Lists the files of `shaders/` for `src/wgsl/sources.rs`, so that no list has to be kept by hand.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("shaders");
    println!("cargo:rerun-if-changed={}", root.display());
    println!("cargo:rerun-if-changed={}", root.join("parts").display());
    let mut rows = Vec::new();
    list(&root, "", &mut rows)?;
    list(&root.join("parts"), "parts/", &mut rows)?;
    rows.sort();
    let rows: Vec<String> =
        rows.iter().map(|(name, file)| format!("    ({name:?}, include_str!({file:?})),")).collect();
    let text = format!("&[\n{}\n]", rows.join("\n"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("shader_list.rs"), text)
}

fn list(folder: &Path, prefix: &str, rows: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "wgsl") {
            let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            rows.push((format!("{prefix}{stem}"), path.to_string_lossy().into_owned()));
        }
    }
    Ok(())
}
