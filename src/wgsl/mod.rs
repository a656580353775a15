//! Shader sources, the linker, reflection, the checks of limits, lints and translations.
//!
//! A shader is a list of whole files: the kernel first, then the parts that fill its roles. Linking is
//! concatenation with `enable` lines hoisted; numbers are `override` constants. No preprocessor. This is
//! the one module that names `naga`; it touches no device.

mod link;
mod lint;
mod reflect;
mod sources;
mod translate;

pub use link::{Linked, Replaced, link, link_over};
pub use lint::{Finding, Lint, lint};
pub use reflect::{Access, Binding, Reflection, Word, reflect};
pub use sources::{SHADERS, source};
pub use translate::{Language, Needs, Translator, for_browsers, needs};
