//! What all commands share: the adapter, limits, logging, where caches are.

/// A line on stdout. A reader that has gone away is no error of ours.
macro_rules! out {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}
pub(crate) use out;

use omma::gpu::{AdapterChoice, Device, OpenOptions};
use omma::{Error, Result};
use std::path::PathBuf;

/// Options of every command.
#[derive(clap::Args)]
pub struct Common {
    /// Adapter by index, by part of its name, or "best".
    #[arg(long, global = true, default_value = "best")]
    pub adapter: String,
    /// Most bytes of GPU buffers, e.g. 6000000000, 512MiB or 6GB.
    #[arg(long, global = true, value_parser = parse_bytes)]
    pub memory_limit: Option<u64>,
    /// More on stderr; twice for wgpu's own messages.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Common {
    /// Opens the device; a software adapter is used with a notice.
    pub async fn device(&self) -> Result<Device> {
        let options = OpenOptions {
            adapter: AdapterChoice::from(self.adapter.as_str()),
            memory_limit: self.memory_limit,
            cache_folder: cache_folder(),
            floor: false,
        };
        let device = Device::open(&options).await?;
        if device.caps().software {
            eprintln!("notice: {} runs on the CPU; `omma doctor` tells how to get a GPU adapter", device.title());
        }
        Ok(device)
    }
    /// Sends the library's log to stderr: without `-v` its warnings.
    pub fn start_log(&self) {
        let level = match self.verbose {
            0 => "omma=warn",
            1 => "omma=debug",
            _ => "debug",
        };
        let filter = tracing_subscriber::EnvFilter::new(level);
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.verbose {
            0 => log.without_time().with_target(false).init(),
            _ => log.init(),
        }
    }
}

/// Where the driver's pipeline caches are kept: the user's cache folder.
fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base =
        set("XDG_CACHE_HOME").or_else(|| set("LOCALAPPDATA")).or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("omma"))
}

/// A number of bytes with an optional unit.
pub fn parse_bytes(text: &str) -> std::result::Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is not a number of bytes"))?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "kib" => f64::from(1u32 << 10),
        "mib" => f64::from(1u32 << 20),
        "gib" => f64::from(1u32 << 30),
        other => return Err(format!("`{other}` is not a unit of bytes; kB, MB, GB, KiB, MiB, GiB are")),
    };
    Ok((number * factor) as u64)
}

/// Reads a file; the error names it.
pub fn read_file(path: &std::path::Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::io(path.display().to_string(), &e))
}

/// Prints a result for machines.
pub fn print_json(value: &serde_json::Value) {
    out!("{value:#}");
}
