//! The driver's pipeline cache on disk, where driver and build (feature `disk-cache`) allow it.

use super::device::lock;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A pipeline cache with the file it came from.
#[derive(Debug)]
pub(super) struct DiskCache {
    pub(super) raw: wgpu::PipelineCache,
    file: PathBuf,
    saved: Mutex<usize>,
}

impl DiskCache {
    /// Opens the cache of this adapter in `folder`, empty if there is none; `None` if the adapter has no cache.
    #[cfg(all(feature = "disk-cache", not(target_arch = "wasm32")))]
    pub(super) fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, folder: &Path) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let file = folder.join(wgpu::util::pipeline_cache_key(info)?);
        let data = std::fs::read(&file).ok();
        let saved = Mutex::new(data.as_ref().map_or(0, Vec::len));
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("omma"), data: data.as_deref(), fallback: true };
        // SAFETY: the data was written by `save` below under the key of this adapter and driver; wgpu checks its
        // header and, with `fallback`, starts empty where it does not match.
        let raw = unsafe { device.create_pipeline_cache(&descriptor) };
        Some(Self { raw, file, saved })
    }
    #[cfg(not(all(feature = "disk-cache", not(target_arch = "wasm32"))))]
    pub(super) fn open(_: &wgpu::Device, _: &wgpu::AdapterInfo, _: &Path) -> Option<Self> {
        None
    }
    /// Writes the cache if it grew: to a temporary file first, so that a reader never sees half of it.
    /// A cache is an optimisation: a disk that refuses it is noted in the log, and costs time only.
    pub(super) fn save(&self) {
        let Some(data) = self.raw.get_data() else { return };
        let mut saved = lock(&self.saved);
        if data.len() == *saved {
            return;
        }
        let temporary = self.file.with_extension(format!("tmp{}", std::process::id()));
        let write = || {
            if let Some(folder) = self.file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&temporary, &data)?;
            std::fs::rename(&temporary, &self.file)
        };
        match write() {
            Ok(()) => *saved = data.len(),
            Err(error) => tracing::debug!(file = %self.file.display(), %error, "pipeline cache not saved"),
        }
    }
}
