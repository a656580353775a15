//! What a device can do, as plain data: the input of every decision about variants and grids.

/// Capabilities of a device. Built by `gpu` from a real device, or by hand in tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Caps {
    /// Name of the adapter, for messages and tables only: no decision reads it.
    pub adapter: String,
    /// The adapter runs on the CPU (lavapipe, SwiftShader). Picks starting tiles until something was measured.
    pub software: bool,
    /// WGSL `enable f16` works.
    pub f16: bool,
    /// Smallest and largest subgroup size, if subgroup operations work.
    pub subgroup: Option<(u32, u32)>,
    /// Shaders can use 64-bit integers. Asked for on software adapters only, where a load of 64 bits costs as much as one
    /// of 32.
    pub int64: bool,
    /// Timestamps can be written into query sets.
    pub timestamps: bool,
    /// Largest binding of a storage buffer, in bytes.
    pub max_binding: u64,
    /// Largest buffer, in bytes.
    pub max_buffer: u64,
    /// Largest binding of a uniform buffer, in bytes.
    pub max_uniform: u64,
    /// Storage buffers that one shader stage can bind.
    pub max_storage_buffers: u32,
    /// Invocations in a workgroup.
    pub max_lanes: u32,
    /// Bytes of workgroup memory.
    pub max_workgroup_bytes: u32,
    /// Workgroups in one dimension of a dispatch.
    pub max_groups: u32,
    /// Alignment of offsets into bound buffers, in bytes.
    pub align: u64,
}

impl Caps {
    /// Loads and stores go faster 64 bits at a time: a CPU does them lane by lane, component by component.
    pub(crate) fn by_pairs(&self) -> bool {
        self.software && self.int64
    }

    /// The floor that every kernel must run at: `wgpu::Limits::default()` without any optional feature.
    pub fn floor() -> Self {
        Self {
            adapter: "floor".into(),
            software: false,
            f16: false,
            subgroup: None,
            int64: false,
            timestamps: false,
            max_binding: 128 << 20,
            max_buffer: 256 << 20,
            max_uniform: 64 << 10,
            max_storage_buffers: 8,
            max_lanes: 256,
            max_workgroup_bytes: 16 << 10,
            max_groups: 65_535,
            align: 256,
        }
    }
}
