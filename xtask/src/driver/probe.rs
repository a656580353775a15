//! Lists Vulkan devices through the loader, with nothing but the C interface: xtask does not build wgpu to learn
//! whether wgpu will find an adapter.

/// Prints a line for each device; an error when there is none. Metal and DirectX are part of their systems.
pub fn print() -> Result<bool, String> {
    let devices = if cfg!(target_os = "linux") { vulkan::devices()? } else { vec!["the system's own".to_string()] };
    devices.iter().for_each(|d| println!("{d}"));
    Ok(!devices.is_empty())
}

#[cfg(not(target_os = "linux"))]
mod vulkan {
    pub fn devices() -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

#[cfg(target_os = "linux")]
mod vulkan {
    use std::ffi::{CStr, c_char, c_int, c_void};
    use std::ptr::{null, null_mut};

    // Linked by the standard library on Linux.
    unsafe extern "C" {
        fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
        fn dlsym(library: *mut c_void, symbol: *const c_char) -> *mut c_void;
    }
    const RTLD_NOW: c_int = 2;

    /// `VkInstanceCreateInfo`.
    #[repr(C)]
    struct InstanceInfo {
        kind: u32,
        next: *const c_void,
        flags: u32,
        application: *const c_void,
        layer_count: u32,
        layers: *const *const c_char,
        extension_count: u32,
        extensions: *const *const c_char,
    }

    /// `VkPhysicalDeviceProperties`: 824 bytes, of which only the head is read.
    #[repr(C, align(8))]
    struct Properties {
        numbers: [u32; 5],
        name: [u8; 256],
        rest: [u8; 2048],
    }

    type Instance = *mut c_void;
    type Device = *mut c_void;
    type CreateInstance = unsafe extern "C" fn(*const InstanceInfo, *const c_void, *mut Instance) -> i32;
    type EnumerateDevices = unsafe extern "C" fn(Instance, *mut u32, *mut Device) -> i32;
    type GetProperties = unsafe extern "C" fn(Device, *mut Properties);
    const MOST: usize = 16;

    /// Names of the physical devices of every driver that the loader finds.
    pub fn devices() -> Result<Vec<String>, String> {
        // SAFETY: the signatures and structures above are those of the Vulkan 1.0 headers; the loader stays open,
        // and the instance is left to the end of this process, which comes at once.
        unsafe {
            let library = dlopen(c"libvulkan.so.1".as_ptr(), RTLD_NOW);
            if library.is_null() {
                return Err("there is no Vulkan loader (libvulkan.so.1)".into());
            }
            let create: CreateInstance = std::mem::transmute(symbol(library, c"vkCreateInstance")?);
            let enumerate: EnumerateDevices = std::mem::transmute(symbol(library, c"vkEnumeratePhysicalDevices")?);
            let properties: GetProperties = std::mem::transmute(symbol(library, c"vkGetPhysicalDeviceProperties")?);
            let mut instance = null_mut();
            let said = create(&INFO, null(), &mut instance);
            if said != 0 {
                return Err(format!("there is no Vulkan driver (vkCreateInstance: {said})"));
            }
            let (mut count, mut list) = (MOST as u32, [null_mut(); MOST]);
            let said = enumerate(instance, &mut count, list.as_mut_ptr());
            if said < 0 {
                return Err(format!("no Vulkan device (vkEnumeratePhysicalDevices: {said})"));
            }
            Ok(list[..(count as usize).min(MOST)].iter().map(|d| name(properties, *d)).collect())
        }
    }

    const INFO: InstanceInfo = InstanceInfo {
        kind: 1, // VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO
        next: null(),
        flags: 0,
        application: null(),
        layer_count: 0,
        layers: null(),
        extension_count: 0,
        extensions: null(),
    };

    /// # Safety
    /// `library` came from `dlopen`.
    unsafe fn symbol(library: *mut c_void, name: &CStr) -> Result<*mut c_void, String> {
        // SAFETY: both pointers are valid; the result is checked.
        let found = unsafe { dlsym(library, name.as_ptr()) };
        if found.is_null() { Err(format!("the Vulkan loader has no {}", name.to_string_lossy())) } else { Ok(found) }
    }

    /// # Safety
    /// `device` belongs to a live instance of the loader that `properties` came from.
    unsafe fn name(properties: GetProperties, device: Device) -> String {
        let mut p = Properties { numbers: [0; 5], name: [0; 256], rest: [0; 2048] };
        // SAFETY: the structure is larger than what the driver writes.
        unsafe { properties(device, &mut p) };
        CStr::from_bytes_until_nul(&p.name).map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }
}
