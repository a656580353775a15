//! `stack mesa26`: the kernels on lavapipe of Mesa 26, which has cooperative matrices. It needs a newer C library
//! than Debian 12 has, so it lives in a folder with a Debian of its own, and the harness runs inside by chroot.

use super::{create, has, home, kernels_test, validate, write};
use crate::driver::apt;
use crate::steps::{cargo, run};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SUITE: &str = "trixie";
const DRIVER: &[&str] = &["mesa-vulkan-drivers", "libvulkan1"];
const LAYERS: &[&str] = &["vulkan-validationlayers"];

/// Runs the cases whose `kernel/name` contains `filter`; `validation`: under the validation layer of that Debian.
pub fn check(filter: &str, validation: bool) -> Result<bool, String> {
    if !cfg!(target_os = "linux") || !apt::is_root() {
        return Err("a Debian in a folder is made and entered by root on Linux: run this as root".into());
    }
    let folder = folder()?;
    let harness = kernels_test()?;
    let doctor = doctor()?;
    for program in [&harness, &doctor] {
        let to = folder.join("usr/local/bin").join(program.file_name().unwrap_or_default());
        std::fs::copy(program, &to).map_err(|e| format!("{}: {e}", to.display()))?;
    }
    let mut test = inside(&folder);
    if validation {
        write(&folder.join("etc/layer.txt"), validate::SETTINGS)?;
        test.envs(validate::environment("/etc/layer.txt"));
        return validate::run(test.args(["kernels-test", "test", "--filter", filter]), &[]);
    }
    let known = run(inside(&folder).args(["omma", "doctor"]))?;
    Ok(run(test.args(["kernels-test", "test", "--filter", filter]))? && known)
}

/// `omma`, whose doctor prints features, limits and cooperative matrices.
fn doctor() -> Result<PathBuf, String> {
    if !run(&mut cargo(&["build", "--quiet", "--package", "omma", "--bin", "omma"]))? {
        return Err("omma does not build".into());
    }
    let here = std::env::current_exe().map_err(|e| e.to_string())?;
    Ok(here.with_file_name("omma"))
}

/// A command inside, with nothing of our environment.
fn inside(folder: &Path) -> Command {
    let mut command = Command::new("chroot");
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin").env("HOME", "/root");
    command.env("XDG_RUNTIME_DIR", "/tmp").env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command.arg(folder);
    command
}

/// The Debian in a folder, made on first use.
fn folder() -> Result<PathBuf, String> {
    let folder = home().join("mesa26");
    if folder.is_dir() {
        return Ok(folder);
    }
    apt::available()?;
    if !has("debootstrap") {
        apt::install(&["debootstrap"])?;
    }
    eprintln!("Making a Debian ({SUITE}) with Mesa of its backports under target/stack/mesa26 (700 MB).");
    create(&home())?;
    let part = folder.with_extension("part");
    apt::remove(&part)?;
    let (mirror, _) = apt::mirror()?;
    if !run(Command::new("debootstrap")
        .args(["--variant=minbase", SUITE])
        .arg(&part)
        .arg(&mirror)
        .stdout(Stdio::null()))?
    {
        return Err(format!("debootstrap could not make {}", part.display()));
    }
    let backports = format!("{SUITE}-backports");
    write(&part.join("etc/apt/sources.list.d/backports.list"), &format!("deb {mirror} {backports} main\n"))?;
    let install = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", "install", "--yes", "--no-install-recommends"];
    let steps: [&[&str]; 3] = [
        &["apt-get", "-qq", "update"],
        &[&install[..], &["-t", &backports], DRIVER].concat(),
        &[&install[..], LAYERS].concat(),
    ];
    for step in steps {
        if !run(inside(&part).args(step).stdout(Stdio::null()))? {
            return Err(format!("`{}` failed in {}", step.join(" "), part.display()));
        }
    }
    std::fs::rename(&part, &folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}
