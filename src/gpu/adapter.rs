//! Choosing an adapter: by index, by name, or the best there is; and what a device needs to be asked for.

use super::device::caps_of;
use crate::{Caps, Error, Result};

/// Which adapter to use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AdapterChoice {
    /// A discrete GPU before an integrated one before a software adapter.
    #[default]
    Best,
    /// Position in the list of [`adapters`].
    Index(usize),
    /// Part of the adapter's or the driver's name, in any case.
    Name(String),
}

impl From<&str> for AdapterChoice {
    fn from(text: &str) -> Self {
        match text.parse() {
            _ if text.is_empty() || text == "best" => Self::Best,
            Ok(index) => Self::Index(index),
            Err(_) => Self::Name(text.to_owned()),
        }
    }
}

/// An adapter with what it can do.
#[derive(Debug, Clone)]
pub struct AdapterDescription {
    /// Name, driver and backend.
    pub info: wgpu::AdapterInfo,
    /// What a device of it would offer with everything on.
    pub caps: Caps,
    /// The adapter.
    pub adapter: wgpu::Adapter,
}

impl AdapterDescription {
    /// One line: name, driver, backend.
    pub fn title(&self) -> String {
        let i = &self.info;
        format!("{} ({} {}, {})", i.name, i.driver, i.driver_info, i.backend)
    }
    /// Rank of [`AdapterChoice::Best`]; higher is better.
    fn rank(&self) -> u32 {
        match self.info.device_type {
            wgpu::DeviceType::DiscreteGpu => 4,
            wgpu::DeviceType::IntegratedGpu => 3,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 1,
            wgpu::DeviceType::Cpu => 0,
        }
    }
}

/// All adapters, in the order of their index.
pub async fn adapters(instance: &wgpu::Instance) -> Vec<AdapterDescription> {
    let all = instance.enumerate_adapters(wgpu::Backends::all()).await;
    let describe = |adapter: wgpu::Adapter| {
        let info = adapter.get_info();
        let (features, limits) = wanted(&adapter);
        AdapterDescription { caps: caps_of(&info, features, &limits), info, adapter }
    };
    all.into_iter().map(describe).collect()
}

/// The adapter of a choice among `all`; an error says what there is and how to get one.
pub fn choose(all: Vec<AdapterDescription>, choice: &AdapterChoice) -> Result<AdapterDescription> {
    let found: Vec<String> = all.iter().enumerate().map(|(i, a)| format!("{i}: {}", a.title())).collect();
    let hint = if found.is_empty() {
        "install a Vulkan driver (Debian and Ubuntu: apt-get install mesa-vulkan-drivers, which has a software \
         adapter), or run `cargo xtask driver`"
    } else {
        "choose one of these by index or by part of its name"
    };
    let none = |wanted| Error::NoAdapter { wanted, found: found.clone(), hint: hint.into() };
    match choice {
        AdapterChoice::Best => {
            // Of equals the first: adapters come in the loader's order.
            let best = all.into_iter().reduce(|a, b| if b.rank() > a.rank() { b } else { a });
            best.ok_or_else(|| none(None))
        }
        AdapterChoice::Index(i) => all.into_iter().nth(*i).ok_or_else(|| none(Some(i.to_string()))),
        AdapterChoice::Name(name) => {
            let name_lower = name.to_lowercase();
            let mut all = all.into_iter();
            all.find(|a| a.title().to_lowercase().contains(&name_lower)).ok_or_else(|| none(Some(name.clone())))
        }
    }
}

/// Features and limits that the engine makes use of on this adapter: everything it can have.
pub(super) fn wanted(adapter: &wgpu::Adapter) -> (wgpu::Features, wgpu::Limits) {
    let mut features = wgpu::Features::SHADER_F16
        | wgpu::Features::SUBGROUP
        | wgpu::Features::TIMESTAMP_QUERY
        | wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES
        | wgpu::Features::PIPELINE_CACHE;
    features.set(wgpu::Features::SHADER_INT64, adapter.get_info().device_type == wgpu::DeviceType::Cpu);
    (adapter.features() & features, adapter.limits())
}

/// What a host that creates its own device should ask for, so that the engine is at its best on `adapter`.
///
/// `largest_tensor` is the size in bytes of the largest tensor that should stay in one piece (a plan's
/// `largest_tensor()`); 0 for no wish. Everything is optional: on a device with `wgpu::Limits::default()`
/// and no features the engine works, with tensors split and f32 only.
pub fn requirements(adapter: &wgpu::Adapter, largest_tensor: u64) -> (wgpu::Features, wgpu::Limits) {
    let (features, best) = wanted(adapter);
    let floor = wgpu::Limits::default();
    let size = largest_tensor.checked_next_multiple_of(256).unwrap_or(u64::MAX);
    let limits = wgpu::Limits {
        max_storage_buffer_binding_size: size
            .max(floor.max_storage_buffer_binding_size)
            .min(best.max_storage_buffer_binding_size),
        max_buffer_size: size.max(floor.max_buffer_size).min(best.max_buffer_size),
        max_compute_workgroup_storage_size: best.max_compute_workgroup_storage_size.min(32 << 10),
        max_compute_invocations_per_workgroup: best.max_compute_invocations_per_workgroup.min(1024),
        max_compute_workgroup_size_x: best.max_compute_workgroup_size_x.min(1024),
        ..floor
    };
    (features, limits)
}
