//! `stack translate`: what naga writes, read by other people's compilers. `kernels-test translate` alone shows that
//! there is a translation; here glslang compiles the GLSL and SPIRV-Tools validate the SPIR-V. For HLSL and MSL there
//! is no whole compiler among the packages.

use super::{has, home, kernels_test};
use crate::driver::apt;
use crate::steps::run;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs and the packages that have them.
const COMPILERS: [(&str, &str); 2] = [("glslangValidator", "glslang-tools"), ("spirv-val", "spirv-tools")];

/// Translates every variant whose kernel's name contains `filter`, and compiles what can be compiled.
pub fn check(filter: &str) -> Result<bool, String> {
    let missing: Vec<&str> = COMPILERS.iter().filter(|(p, _)| !has(p)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        if !apt::is_root() || apt::available().is_err() {
            return Err(format!("install {} first", missing.join(" and ")));
        }
        apt::install(&missing)?;
    }
    let out = home().join("translated");
    apt::remove(&out)?;
    let mut translate = Command::new(kernels_test()?);
    let mut good = run(translate.args(["translate", "--filter", filter, "--out"]).arg(&out))?;
    good &= compile("GLSL ES 3.10, glslang", &out.join("es.comp"), glslang())?;
    good &= compile("GLSL 4.50, glslang", &out.join("comp"), glslang())?;
    good &= compile("SPIR-V 1.3, spirv-val", &out.join("spv"), spirv_val())?;
    Ok(good)
}

/// A compiler: its command for some files, and how many it takes at once.
type Compiler = (usize, fn(&[PathBuf]) -> Command);

fn glslang() -> Compiler {
    let command = |files: &[PathBuf]| {
        let mut command = Command::new("glslangValidator");
        command.args(["-S", "comp"]).args(files);
        command
    };
    (64, command)
}

fn spirv_val() -> Compiler {
    let command = |files: &[PathBuf]| {
        let mut command = Command::new("spirv-val");
        command.args(["--target-env", "vulkan1.1"]).args(files);
        command
    };
    (1, command)
}

/// Compiles every file of a folder; prints what is refused and how many were not.
fn compile(name: &str, folder: &Path, compiler: Compiler) -> Result<bool, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    files.sort();
    let (most, command) = compiler;
    let said = |some: &[PathBuf]| command(some).output().map_err(|e| format!("{name}: {e}"));
    let mut refused = 0;
    for some in files.chunks(most) {
        if said(some)?.status.success() {
            continue;
        }
        // One of them is refused, and may have kept the others from being read.
        for file in some {
            let said = said(std::slice::from_ref(file))?;
            if !said.status.success() {
                refused += 1;
                let text = [said.stdout, said.stderr].concat();
                let text = String::from_utf8_lossy(&text);
                println!("{}: {}", file.display(), text.lines().take(4).collect::<Vec<_>>().join(" / "));
            }
        }
    }
    println!("{name}: {} compiled, {refused} refused", files.len() - refused);
    Ok(refused == 0 && !files.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_shader_is_refused() -> Result<(), String> {
        if COMPILERS.iter().any(|(program, _)| !has(program)) {
            eprintln!("skipped: the compilers are not installed");
            return Ok(());
        }
        let folder = std::env::temp_dir().join(format!("omma-xtask-compile-{}", std::process::id()));
        super::super::create(&folder)?;
        super::super::write(&folder.join("a.comp"), "#version 450\nvoid main() { }\n")?;
        let fine = compile("test", &folder, glslang());
        super::super::write(&folder.join("b.comp"), "#version 450\nvoid main() { int a = 1.5.x; }\n")?;
        let good = compile("test", &folder, glslang());
        apt::remove(&folder)?;
        assert_eq!((fine, good), (Ok(true), Ok(false)));
        Ok(())
    }
}
