//! Keeps what drivers print out of stderr, where a failure is one line of ours.

/// Mesa's device-select layer asks Wayland which GPU the desktop uses, and libwayland prints an "error:" line where
/// `XDG_RUNTIME_DIR` is not set, as in a container. With any folder it finds no socket there and says nothing.
pub fn loader() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: called first in `main`, while this is the only thread.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}
