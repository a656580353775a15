//! A device with its queue: ours or the host's.

use super::adapter::{AdapterChoice, adapters, choose, wanted};
use super::cache::DiskCache;
use super::{Ledger, Pipeline, PipelineKey};
use crate::wgsl::Replaced;
use crate::{Caps, Error, Result};
use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How the engine waits for the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waiting {
    /// Block the calling thread in `Device::poll`. What binaries and tests want; impossible in a browser,
    /// where it means the same as [`Waiting::Host`].
    #[default]
    Block,
    /// Never block: futures complete when the host polls its device (a browser does so by itself).
    Host,
}

/// How to open a device of our own.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Which adapter.
    pub adapter: AdapterChoice,
    /// Most bytes of live buffers.
    pub memory_limit: Option<u64>,
    /// Folder for the driver's pipeline caches (feature `disk-cache`).
    pub cache_folder: Option<PathBuf>,
    /// Ask for no optional feature and no limit above `wgpu::Limits::default()`: what the floor looks like.
    pub floor: bool,
}

/// How to use a device of the host.
#[derive(Debug, Clone, Default)]
pub struct HostOptions {
    /// Who polls.
    pub waiting: Waiting,
    /// Most bytes of live buffers of the engine.
    pub memory_limit: Option<u64>,
    /// Keep wgpu's run-time bounds checks in shaders. The engine proves its indices, so they cost time only.
    pub checked_shaders: bool,
    /// Shaders that take the place of those compiled in: for work on kernels, and for testing the tests.
    pub shaders: Replaced,
}

/// A handle to a device, its queue and what was made on it. Send and Sync; clones share everything.
#[derive(Debug, Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    caps: Caps,
    waiting: Waiting,
    checked: bool,
    shaders: Replaced,
    ledger: Arc<Ledger>,
    lost: Arc<Mutex<Option<String>>>,
    /// A report that nobody was told yet.
    reported: Mutex<Option<Error>>,
    pipelines: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
    cache: Option<DiskCache>,
}

impl Device {
    /// Opens a device of our own.
    pub async fn open(options: &OpenOptions) -> Result<Self> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let chosen = choose(adapters(&instance).await, &options.adapter)?;
        let (features, limits) =
            if options.floor { (wgpu::Features::empty(), wgpu::Limits::default()) } else { wanted(&chosen.adapter) };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("omma"),
            required_features: features,
            required_limits: limits,
            ..Default::default()
        };
        let (device, queue) = chosen
            .adapter
            .request_device(&descriptor)
            .await
            .map_err(|e| Error::Device { what: chosen.title(), reason: e.to_string() })?;
        let lost = Arc::new(Mutex::new(None));
        let note = lost.clone();
        // The device is ours, so this callback takes nobody else's place.
        device.set_device_lost_callback(move |_, reason| *lock(&note) = Some(reason));
        let cache = options.cache_folder.as_ref().and_then(|folder| DiskCache::open(&device, &chosen.info, folder));
        let host = HostOptions { memory_limit: options.memory_limit, ..Default::default() };
        Ok(Self::build(device, queue, chosen.info, &host, lost, cache))
    }

    /// Uses a device and queue of the host. No callback of the host is replaced and no lock of it is taken. A device
    /// with `wgpu::Limits::default()` and no features will do; [`super::requirements`] names what is better.
    pub fn from_host(device: wgpu::Device, queue: wgpu::Queue, options: &HostOptions) -> Self {
        let info = device.adapter_info();
        Self::build(device, queue, info, options, Arc::default(), None)
    }

    fn build(
        device: wgpu::Device,
        queue: wgpu::Queue,
        info: wgpu::AdapterInfo,
        options: &HostOptions,
        lost: Arc<Mutex<Option<String>>>,
        cache: Option<DiskCache>,
    ) -> Self {
        let caps = caps_of(&info, device.features(), &device.limits());
        let waiting = if cfg!(target_arch = "wasm32") { Waiting::Host } else { options.waiting };
        let ledger = Arc::new(Ledger::new(options.memory_limit));
        let (checked, shaders) = (options.checked_shaders, options.shaders.clone());
        let (pipelines, reported) = (Mutex::default(), Mutex::default());
        let inner =
            Inner { device, queue, info, caps, waiting, checked, shaders, ledger, lost, reported, pipelines, cache };
        Self { inner: Arc::new(inner) }
    }

    /// What the device can do.
    pub fn caps(&self) -> &Caps {
        &self.inner.caps
    }
    /// Name and driver.
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.inner.info
    }
    /// One line: name, driver, backend.
    pub fn title(&self) -> String {
        let i = &self.inner.info;
        format!("{} ({} {}, {})", i.name, i.driver, i.driver_info, i.backend)
    }
    /// The wgpu device.
    pub fn wgpu(&self) -> &wgpu::Device {
        &self.inner.device
    }
    /// The wgpu queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.inner.queue
    }
    /// Live buffers, the memory limit, fault injection.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.inner.ledger
    }
    /// How the engine waits.
    pub fn waiting(&self) -> Waiting {
        self.inner.waiting
    }
    pub(super) fn checked(&self) -> bool {
        self.inner.checked
    }
    pub(super) fn shaders(&self) -> &Replaced {
        &self.inner.shaders
    }
    pub(super) fn cache(&self) -> Option<&DiskCache> {
        self.inner.cache.as_ref()
    }
    pub(super) fn pipeline_map(&self) -> MutexGuard<'_, HashMap<PipelineKey, Arc<Pipeline>>> {
        lock(&self.inner.pipelines)
    }
    /// Writes the driver's pipeline cache to the folder given at opening, if there is one.
    pub fn save_cache(&self) {
        if let Some(cache) = self.cache() {
            cache.save();
        }
    }
    /// The reason if the device was lost.
    pub fn check_lost(&self) -> Result<()> {
        match &*lock(&self.inner.lost) {
            Some(reason) => Err(Error::DeviceLost { reason: reason.clone() }),
            None => Ok(()),
        }
    }
    /// Tells the engine that the device is lost: a host calls this from its own device-lost callback, which the
    /// engine never replaces. From then on everything gives [`Error::DeviceLost`].
    pub fn mark_lost(&self, reason: &str) {
        lock(&self.inner.lost).get_or_insert_with(|| reason.to_owned());
    }
    /// Whether both are handles to the same device.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
    /// Runs `make` and turns what the device reports meanwhile into a typed error.
    pub(super) async fn scoped<T>(&self, what: &str, make: impl FnOnce() -> T) -> Result<T> {
        let (made, report) = {
            let scopes = self.watch();
            (make(), first_report(scopes))
        };
        let report = report.await;
        self.verdict(what, report).map(|()| made)
    }
    /// [`Device::scoped`] without waiting: reports that are not there at once, as in a browser, are dropped.
    pub(super) fn scoped_now<T>(&self, what: &str, make: impl FnOnce() -> T) -> Result<T> {
        let scopes = self.watch();
        let (made, report) = (make(), first_report(scopes));
        let mut context = Context::from_waker(Waker::noop());
        let report = match pin!(report).poll(&mut context) {
            Poll::Ready(report) => report,
            Poll::Pending => None,
        };
        self.verdict(what, report).map(|()| made)
    }
    /// Opens error scopes of this thread.
    fn watch(&self) -> [wgpu::ErrorScopeGuard; 3] {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        [OutOfMemory, Validation, Internal].map(|filter| self.wgpu().push_error_scope(filter))
    }
    /// Loss before anything else: wgpu hands out invalid objects on a lost device and says so only in a poll, and
    /// what is then made of them is reported as if the caller were wrong.
    fn verdict(&self, what: &str, report: Option<wgpu::Error>) -> Result<()> {
        self.notice_loss(report.is_some());
        self.check_lost()?;
        if let Some(earlier) = lock(&self.inner.reported).take() {
            return Err(earlier);
        }
        report.map_or(Ok(()), |report| Err(report_error(what, &report)))
    }
    /// [`Device::scoped_now`] where there is no result to return: a report is the error of the next call that has one.
    pub(super) fn scoped_later(&self, what: &str, make: impl FnOnce()) {
        if let Err(error) = self.scoped_now(what, make) {
            lock(&self.inner.reported).get_or_insert(error);
        }
    }
    /// Lets wgpu call the device-lost callback, where the engine may poll. It is called once the queue is empty; after
    /// a failure that is worth waiting for, with a bound for a device that hangs.
    pub(super) fn notice_loss(&self, wait: bool) {
        if self.waiting() == Waiting::Block {
            let timeout = Some(std::time::Duration::from_secs(10));
            let wait_for_all = wgpu::PollType::Wait { submission_index: None, timeout };
            let _ = self.wgpu().poll(if wait { wait_for_all } else { wgpu::PollType::Poll });
        }
    }
}

/// Closes scopes; the future is the first report of the innermost that has one.
fn first_report(scopes: [wgpu::ErrorScopeGuard; 3]) -> impl Future<Output = Option<wgpu::Error>> {
    let [outer, middle, inner] = scopes;
    // In the order of a stack, and at once: scopes belong to a thread, the future does not.
    let inner = inner.pop();
    let middle = middle.pop();
    let outer = outer.pop();
    async move {
        match inner.await {
            Some(report) => Some(report),
            None => match middle.await {
                Some(report) => Some(report),
                None => outer.await,
            },
        }
    }
}

pub(super) fn report_error(what: &str, report: &wgpu::Error) -> Error {
    match report {
        wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory { what: what.into(), bytes: 0, live: 0, limit: None },
        other => {
            let text = other.to_string();
            let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).take(4).collect();
            Error::Device { what: what.into(), reason: lines.join("; ") }
        }
    }
}

/// Nothing panics while a lock of this module is held, so a poisoned lock cannot hold half a change.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn caps_of(info: &wgpu::AdapterInfo, features: wgpu::Features, limits: &wgpu::Limits) -> Caps {
    let subgroup = (info.subgroup_min_size, info.subgroup_max_size);
    Caps {
        adapter: format!("{} ({} {})", info.name, info.driver, info.driver_info),
        software: info.device_type == wgpu::DeviceType::Cpu,
        f16: features.contains(wgpu::Features::SHADER_F16),
        subgroup: features.contains(wgpu::Features::SUBGROUP).then_some(subgroup),
        int64: features.contains(wgpu::Features::SHADER_INT64),
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        max_binding: limits.max_storage_buffer_binding_size / 4 * 4,
        max_buffer: limits.max_buffer_size / 4 * 4,
        max_uniform: limits.max_uniform_buffer_binding_size,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        max_lanes: limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x),
        max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
        max_groups: limits.max_compute_workgroups_per_dimension,
        align: u64::from(limits.min_storage_buffer_offset_alignment.max(limits.min_uniform_buffer_offset_alignment)),
    }
}
