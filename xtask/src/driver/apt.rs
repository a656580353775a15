//! Packages of Debian and Ubuntu through their own client: installed as root, or unpacked into a folder as anyone.

use crate::steps::{self, output, run};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether this machine has the clients, and if not, what to do on it.
pub fn available() -> Result<(), String> {
    if output(Command::new("apt-get").arg("--version")).is_ok() && output(Command::new("dpkg").arg("--version")).is_ok()
    {
        return Ok(());
    }
    Err("this is not a Debian or Ubuntu machine. Install a Vulkan driver with the system's own package manager; \
        Mesa's software adapter is in mesa-vulkan-drivers (Fedora), vulkan-swrast (Arch), mesa-vulkan-swrast (Alpine)"
        .into())
}

/// Whether we may install packages.
pub fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Installs packages into the system, as root.
pub fn install(packages: &[&str]) -> Result<(), String> {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).arg("-qq");
        command
    };
    let updated = run(apt().arg("update"))?;
    if run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))? {
        return Ok(());
    }
    let hint = if updated { "" } else { " (the package lists could not be fetched: is there a network?)" };
    Err(format!("could not install {}{hint}", packages.join(", ")))
}

/// apt with lists and a cache of its own, which needs no rights and changes nothing of the system.
pub struct Private {
    folder: PathBuf,
    sources: Option<PathBuf>,
    /// The release that packages come from where several have them.
    release: Option<String>,
}

impl Private {
    /// Opens the folder and fetches the package lists of the system's sources.
    pub fn open(folder: &Path) -> Result<Self, String> {
        Self::with_sources(folder, None)
    }

    /// The same for a sources list of our own.
    pub fn with_sources(folder: &Path, sources: Option<PathBuf>) -> Result<Self, String> {
        for below in ["lists/partial", "cache/archives/partial", "deb"] {
            let path = folder.join(below);
            std::fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        let private = Self { folder: folder.to_path_buf(), sources, release: None };
        let said = output(private.apt("apt-get").args(["-qq", "update"]));
        said.map_err(|e| format!("could not fetch the package lists (is there a network?): {e}"))?;
        Ok(private)
    }

    /// Prefers the packages of a release, such as the system's backports.
    pub fn prefer(mut self, release: &str) -> Self {
        self.release = Some(release.into());
        self
    }

    /// `apt-get` or `apt-cache` on the private lists.
    pub fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let place = |key: &str, path: &str| format!("{key}={}", self.folder.join(path).display());
        let mut options = vec![place("Dir::State::Lists", "lists"), place("Dir::Cache", "cache")];
        if let Some(sources) = &self.sources {
            options.push(format!("Dir::Etc::sourcelist={}", sources.display()));
            options.push("Dir::Etc::sourceparts=/dev/null".into());
        }
        options.extend(self.release.iter().map(|release| format!("APT::Default-Release={release}")));
        // Root's apt would otherwise download as a user who cannot write here, and wait for the system's lock.
        options.extend(["APT::Sandbox::User=root".into(), "Debug::NoLocking=1".into()]);
        command.args(options.iter().flat_map(|o| ["-o", o.as_str()])).stdin(Stdio::null());
        command.current_dir(self.folder.join("deb"));
        command
    }

    /// Unpacks packages and those of their dependencies that the system lacks.
    pub fn unpack_with_dependencies(&self, packages: &[&str], to: &Path) -> Result<(), String> {
        let mut plan = self.apt("apt-get");
        plan.args(["--simulate", "--no-install-recommends", "install"]).args(packages);
        let mut names = to_install(&output(&mut plan)?);
        names.extend(packages.iter().map(|p| p.to_string()).filter(|p| !names.contains(p)).collect::<Vec<_>>());
        let part = to.with_extension("part");
        remove(&part)?;
        for deb in self.download(&names)? {
            output(Command::new("dpkg").arg("-x").arg(&deb).arg(&part))?;
            std::fs::remove_file(&deb).map_err(|e| format!("{}: {e}", deb.display()))?;
        }
        remove(to)?;
        std::fs::rename(&part, to).map_err(|e| format!("{}: {e}", to.display()))
    }

    /// Downloads packages; paths of the .deb files.
    pub fn download(&self, names: &[String]) -> Result<Vec<PathBuf>, String> {
        let folder = self.folder.join("deb");
        remove(&folder)?;
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        output(self.apt("apt-get").arg("download").args(names))?;
        let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        files.retain(|p| p.extension().is_some_and(|e| e == "deb"));
        files.sort();
        Ok(files)
    }

    /// Unpacks files with these names out of the first package that has all of them, flat into a folder.
    pub fn unpack_files(&self, packages: &[&str], files: &[&str], to: &Path) -> Result<(), String> {
        let mut reasons = Vec::new();
        for package in packages {
            match self.unpack_from(package, files, to) {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(format!("no package has {}: {}", files.join(" and "), reasons.join("; ")))
    }

    fn unpack_from(&self, package: &str, files: &[&str], to: &Path) -> Result<(), String> {
        let debs = self.download(&[package.to_string()])?;
        let deb = debs.first().ok_or_else(|| format!("{package} was not downloaded"))?;
        let list = output(Command::new("dpkg").arg("-c").arg(deb))?;
        let path = |file: &&str| {
            let found =
                list.lines().filter_map(|l| l.split_whitespace().last()).find(|p| p.ends_with(&format!("/{file}")));
            found.map(String::from).ok_or_else(|| format!("{package} has no {file}"))
        };
        let paths: Vec<String> = files.iter().map(path).collect::<Result<_, _>>()?;
        std::fs::create_dir_all(to).map_err(|e| format!("{}: {e}", to.display()))?;
        let mut data = Command::new("dpkg")
            .arg("--fsys-tarfile")
            .arg(deb)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| e.to_string())?;
        let mut tar = Command::new("tar");
        let depth = paths[0].matches('/').count();
        tar.arg("-x").arg("-C").arg(to).arg(format!("--strip-components={depth}")).args(&paths);
        tar.stdin(data.stdout.take().map_or(Stdio::null(), Stdio::from));
        let unpacked = tar.status().map_err(|e| format!("{}: {e}", steps::show(&tar)))?;
        data.wait().map_err(|e| e.to_string())?;
        remove(&self.folder.join("deb"))?;
        if unpacked.success() { Ok(()) } else { Err(format!("{package} could not be unpacked")) }
    }
}

/// The mirror of Debian that this system uses, and what signs its packages, as a line of a sources list wants them.
pub fn mirror() -> Result<(String, String), String> {
    let codename = os_release("VERSION_CODENAME").ok_or("not a Debian system")?;
    let format = "$(RELEASE) $(REPO_URI)";
    let targets = output(Command::new("apt-get").args(["indextargets", "--format", format]))?;
    let lines = targets.lines().filter_map(|l| l.split_once(' '));
    let mut mirrors = lines.filter(|(release, _)| *release == codename).map(|(_, uri)| uri);
    let mirror =
        mirrors.find(|uri| uri.trim_end_matches('/').ends_with("debian")).ok_or("no mirror of Debian is set up")?;
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let signed = if Path::new(keys).is_file() { format!("[signed-by={keys}] ") } else { String::new() };
    Ok((mirror.into(), signed))
}

/// A sources list of these suites on that mirror.
pub fn sources(suites: &[&str]) -> Result<String, String> {
    let (mirror, signed) = mirror()?;
    Ok(suites.iter().map(|suite| format!("deb {signed}{mirror} {suite} main\n")).collect())
}

/// A field of /etc/os-release.
pub fn os_release(field: &str) -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let value = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix('=').map(String::from))?;
    Some(value.trim_matches('"').to_string())
}

/// The lists are of no use once a package is unpacked; a failure to remove them changes nothing.
impl Drop for Private {
    fn drop(&mut self) {
        let _ = remove(&self.folder);
    }
}

/// Removes a folder if it is there.
pub fn remove(folder: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {e}", folder.display())),
        _ => Ok(()),
    }
}

/// Names in the `Inst` lines of a simulated installation. The C library stays out: another one than the running
/// linker's would break every child.
fn to_install(simulation: &str) -> Vec<String> {
    let names = simulation.lines().filter_map(|l| l.strip_prefix("Inst ")).filter_map(|l| l.split_whitespace().next());
    names.filter(|n| !matches!(*n, "libc6" | "libc-bin" | "libc6:amd64")).map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_of_apt_is_read() {
        let text =
            "NOTE: only a simulation\nInst libvulkan1 (1.3 Debian:12 [amd64])\nInst libc6 [1] (2 x)\nConf libvulkan1";
        assert_eq!(to_install(text), ["libvulkan1"]);
    }
}
