//! Vulkan drivers for children: the machine's own adapter, lavapipe, SwiftShader.
//!
//! A driver is believed only after a child process (`xtask probe`) has listed its devices in the very environment
//! that the later children get. A list of ICD files would not do: Mesa installs ICDs of hardware that is not there,
//! and a library may lack what it needs. Asking in a child also survives a driver that crashes, and lets the
//! dynamic linker see `LD_LIBRARY_PATH`, which it reads only when a process starts.
//!
//! What is fetched lies under `target/driver`, so that removing `target` removes it.

pub mod apt;
pub mod probe;

use crate::steps::{Env, root};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An adapter for children.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// `default`, `lavapipe` or `swiftshader`.
    pub name: String,
    /// What the driver calls its devices.
    pub devices: Vec<String>,
    /// Variables that select it; empty when the machine's settings do.
    pub env: Env,
}

const LAVAPIPE: &[&str] = &["libvulkan1", "mesa-vulkan-drivers"];
/// Packages that contain SwiftShader; which one does has changed between releases.
const CHROMIUM: &[&str] = &["chromium-common", "chromium"];
const SWIFTSHADER_FILES: [&str; 2] = ["libvk_swiftshader.so", "vk_swiftshader_icd.json"];

/// Folders of shared libraries; the only variable that is put before what the child had, not in its place.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

impl Adapter {
    /// Makes a child see this adapter.
    pub fn select(&self, command: &mut Command) {
        for (key, value) in &self.env {
            let given = std::env::var(key).ok().filter(|v| key == LIBRARIES && !v.is_empty());
            command.env(key, given.map_or(value.clone(), |v| format!("{value}:{v}")));
        }
    }
}

fn home() -> PathBuf {
    root().join("target/driver")
}

/// Any adapter: what the machine has, else lavapipe, fetched if need be.
pub fn any() -> Result<Adapter, String> {
    match try_env("default", Vec::new()) {
        Some(adapter) => Ok(adapter),
        None => lavapipe(false),
    }
}

/// lavapipe, Mesa's software adapter. `private`: unpacked under `target/driver`, whatever the system has.
pub fn lavapipe(private: bool) -> Result<Adapter, String> {
    let fetched = home().join("lavapipe");
    let find = || if private { None } else { system_lavapipe() }.or_else(|| unpacked_lavapipe(&fetched));
    if let Some(adapter) = find() {
        return Ok(adapter);
    }
    apt::available().map_err(|e| format!("no Vulkan adapter, and {e}"))?;
    if !private && apt::is_root() {
        eprintln!("No Vulkan adapter: installing Mesa's software adapter (packages {}).", LAVAPIPE.join(", "));
        apt::install(LAVAPIPE)?;
    } else {
        eprintln!(
            "Unpacking Mesa's software adapter under target/driver (40 MB, or 240 MB where its libraries are missing too)."
        );
        let private = apt::Private::open(&home().join("apt"))?;
        private.unpack_with_dependencies(LAVAPIPE, &fetched)?;
        write_icd(&fetched)?;
    }
    find().ok_or_else(|| "lavapipe was fetched, but lists no device; please report this with `omma doctor -v`".into())
}

/// lavapipe of the system's backports, unpacked under `target/driver`: Debian 12 itself has one that Dawn refuses.
pub fn lavapipe_of_backports() -> Result<Adapter, String> {
    let fetched = home().join("lavapipe-backports");
    if let Some(adapter) = unpacked_lavapipe(&fetched) {
        return Ok(adapter);
    }
    apt::available()?;
    let codename = apt::os_release("VERSION_CODENAME").ok_or("backports are known of Debian only")?;
    let backports = format!("{codename}-backports");
    eprintln!("Unpacking Mesa of {backports} under target/driver.");
    std::fs::create_dir_all(home()).map_err(|e| format!("{}: {e}", home().display()))?;
    let list = home().join("backports.list");
    let written = std::fs::write(&list, apt::sources(&[&codename, &backports])?);
    written.map_err(|e| format!("{}: {e}", list.display()))?;
    let private = apt::Private::with_sources(&home().join("apt"), Some(list))?.prefer(&backports);
    private.unpack_with_dependencies(LAVAPIPE, &fetched)?;
    write_icd(&fetched)?;
    unpacked_lavapipe(&fetched).ok_or_else(|| format!("Mesa of {backports} was fetched, but lists no device"))
}

/// SwiftShader, the second adapter of the tests: no f16, small subgroups, 256 lanes.
pub fn swiftshader() -> Result<Adapter, String> {
    let fetched = home().join("swiftshader").join(SWIFTSHADER_FILES[1]);
    if let Some(adapter) = find_swiftshader(&fetched)? {
        return Ok(adapter);
    }
    apt::available().map_err(|e| format!("no SwiftShader, and {e}; OMMA_SWIFTSHADER_ICD may name its ICD file"))?;
    eprintln!("Unpacking SwiftShader under target/driver, out of a package of Chromium (a download of 30 MB).");
    let private = apt::Private::open(&home().join("apt"))?;
    private.unpack_files(CHROMIUM, &SWIFTSHADER_FILES, &home().join("swiftshader"))?;
    find_swiftshader(&fetched)?.ok_or_else(|| "SwiftShader was fetched, but lists no device".into())
}

fn find_swiftshader(fetched: &Path) -> Result<Option<Adapter>, String> {
    let named = std::env::var_os("OMMA_SWIFTSHADER_ICD").map(PathBuf::from);
    if named.as_ref().is_some_and(|p| !p.is_file()) {
        return Err("OMMA_SWIFTSHADER_ICD names no file".into());
    }
    let system = ["/usr/lib/chromium", "/opt/google/chrome"].map(|f| Path::new(f).join(SWIFTSHADER_FILES[1]));
    let candidates = named.into_iter().chain(system).chain([fetched.to_path_buf()]).filter(|p| p.is_file());
    for icd in candidates {
        let adapter = try_env("swiftshader", icd_env(&icd)).or_else(|| {
            // The machine may have no Vulkan loader: use the one that came with lavapipe.
            let loader = lavapipe(false).ok()?.env.into_iter().filter(|(k, _)| k == LIBRARIES);
            try_env("swiftshader", icd_env(&icd).into_iter().chain(loader).collect())
        });
        if let Some(adapter) = adapter.filter(|a| a.devices.iter().any(|d| d.contains("SwiftShader"))) {
            return Ok(Some(adapter));
        }
    }
    Ok(None)
}

fn system_lavapipe() -> Option<Adapter> {
    let folders = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let files = folders.iter().filter_map(|f| std::fs::read_dir(f).ok()).flatten().filter_map(|e| Some(e.ok()?.path()));
    let named = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("lvp_icd"));
    files.filter(named).find_map(|icd| try_lavapipe(icd_env(&icd)))
}

fn unpacked_lavapipe(folder: &Path) -> Option<Adapter> {
    let icd = folder.join("lvp_icd.json");
    if !icd.is_file() {
        return None;
    }
    let paths: Vec<String> = library_folders(folder).iter().map(|p| p.to_string_lossy().into_owned()).collect();
    let mut env = icd_env(&icd);
    env.push((LIBRARIES.into(), paths.join(":")));
    try_lavapipe(env)
}

fn try_lavapipe(env: Env) -> Option<Adapter> {
    try_env("lavapipe", env).filter(|a| a.devices.iter().any(|d| d.contains("llvmpipe")))
}

/// The variables that make the Vulkan loader use one ICD; loaders before 1.3.207 know only the second.
fn icd_env(icd: &Path) -> Env {
    ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].map(|k| (k.to_string(), icd.to_string_lossy().into_owned())).to_vec()
}

/// The ICD file of the unpacked driver: Debian's own names the library at its place in the system.
fn write_icd(folder: &Path) -> Result<(), String> {
    let library = library_folders(folder).into_iter().map(|f| f.join("libvulkan_lvp.so")).find(|p| p.is_file());
    let library = library.ok_or("the packages have no libvulkan_lvp.so")?;
    let icd = serde_json::json!({
        "file_format_version": "1.0.0",
        "ICD": { "library_path": library, "api_version": "1.1.0" },
    });
    let file = folder.join("lvp_icd.json");
    std::fs::write(&file, icd.to_string()).map_err(|e| format!("{}: {e}", file.display()))
}

/// Folders of an unpacked tree that hold shared libraries: `usr/lib`, `lib`, and their folder of the architecture.
pub fn library_folders(folder: &Path) -> Vec<PathBuf> {
    let tops = ["usr/lib", "lib"].map(|l| folder.join(l));
    let below = tops.iter().filter_map(|t| std::fs::read_dir(t).ok()).flatten().filter_map(|e| Some(e.ok()?.path()));
    let mut folders: Vec<PathBuf> =
        below.filter(|p| p.is_dir()).chain(tops.clone()).filter(|p| has_library(p)).collect();
    folders.sort();
    folders
}

fn has_library(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|e| e.file_name().to_string_lossy().contains(".so"))
}

/// The adapter that a child would see in this environment, if it sees one.
fn try_env(name: &str, env: Env) -> Option<Adapter> {
    let mut adapter = Adapter { name: name.into(), devices: Vec::new(), env };
    let mut probe = Command::new(std::env::current_exe().ok()?);
    adapter.select(probe.arg("probe"));
    adapter.devices = crate::steps::output(&mut probe).ok()?.lines().map(String::from).collect();
    (!adapter.devices.is_empty()).then_some(adapter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpacked_tree_gives_its_folders_and_an_icd() -> Result<(), String> {
        let folder = std::env::temp_dir().join(format!("omma-xtask-icd-{}", std::process::id()));
        let libraries = folder.join("usr/lib/x86_64-linux-gnu");
        std::fs::create_dir_all(&libraries).map_err(|e| e.to_string())?;
        assert!(write_icd(&folder).is_err(), "there is no library yet");
        std::fs::write(libraries.join("libvulkan_lvp.so"), "").map_err(|e| e.to_string())?;
        write_icd(&folder)?;
        let text = std::fs::read_to_string(folder.join("lvp_icd.json")).map_err(|e| e.to_string())?;
        let found = library_folders(&folder);
        std::fs::remove_dir_all(&folder).map_err(|e| e.to_string())?;
        assert_eq!(found, std::slice::from_ref(&libraries));
        assert!(text.contains(&*libraries.join("libvulkan_lvp.so").to_string_lossy()));
        Ok(())
    }

    #[test]
    fn both_spellings_select_the_icd() {
        let env = icd_env(Path::new("a.json"));
        assert_eq!(env.len(), 2);
        assert!(env.iter().all(|(_, v)| v == "a.json"));
    }
}
