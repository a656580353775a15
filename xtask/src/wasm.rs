//! `wasm`: does the library build for the web?
//!
//! The standard library for wasm32 comes, in this order, from: the target that is installed; `rustup target add`;
//! sources of the standard library (the component rust-src, or Debian's package of the same version, unpacked under
//! `target/wasm`), built along. The last way uses cargo's own switch for building std, which a stable cargo takes
//! with RUSTC_BOOTSTRAP=1; nothing of it reaches users of the library.

use crate::driver::apt;
use crate::steps::{self, output, root, run};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// Checks that the library builds for the web without its default features.
pub fn check(args: &[String]) -> Result<bool, String> {
    let sysroot = PathBuf::from(output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()))?.trim());
    let installed = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    if installed.is_dir() || add_target() {
        return run(build(&[]).args(args));
    }
    let source = source(&sysroot)?;
    let std = ["-Zbuild-std=std,panic_abort"];
    run(build(&std).args(args).env("RUSTC_BOOTSTRAP", "1").env("__CARGO_TESTS_ONLY_SRC_ROOT", source))
}

fn build(extra: &[&str]) -> Command {
    let mut command = steps::cargo(&["check", "--lib", "--no-default-features", "--target", TARGET]);
    command.args(extra);
    command
}

fn add_target() -> bool {
    eprintln!("The target {TARGET} is not installed; asking rustup for it.");
    output(Command::new("rustup").args(["target", "add", TARGET]).current_dir(root())).is_ok()
}

/// The folder `library` of the standard library's sources for this compiler.
fn source(sysroot: &Path) -> Result<PathBuf, String> {
    let version = output(Command::new("rustc").arg("--version").current_dir(root()))?;
    let version = version.split_whitespace().nth(1).ok_or("rustc --version is not understood")?;
    let fetched = root().join("target/wasm");
    let unpacked = fetched.join(format!("src/usr/src/rustc-{version}/library"));
    let component = sysroot.join("lib/rustlib/src/rust/library");
    if let Some(library) = [component, unpacked.clone()].into_iter().find(|p| p.join("Cargo.lock").is_file()) {
        return Ok(library);
    }
    eprintln!(
        "rustup could not add it; unpacking Debian's rust-src {version} under target/wasm (a download of 45 MB)."
    );
    let missing = format!("`rustup target add {TARGET}` does not work here, and rust-src {version} is not to be had");
    apt::available().map_err(|e| format!("{missing}: {e}"))?;
    std::fs::create_dir_all(&fetched).map_err(|e| format!("{}: {e}", fetched.display()))?;
    let list = fetched.join("backports.list");
    std::fs::write(&list, apt::sources(&["trixie-backports"])?).map_err(|e| format!("{}: {e}", list.display()))?;
    let private = apt::Private::with_sources(&fetched.join("apt"), Some(list))?;
    let debs = private.download(&[format!("rust-src={version}*")]).map_err(|e| format!("{missing}: {e}"))?;
    for deb in debs {
        output(Command::new("dpkg").arg("-x").arg(&deb).arg(fetched.join("src")))?;
        std::fs::remove_file(&deb).map_err(|e| format!("{}: {e}", deb.display()))?;
    }
    if unpacked.is_dir() { Ok(unpacked) } else { Err(format!("{missing}: the package has another layout")) }
}
