//! Every file of `shaders/`, compiled in.

use crate::{Error, Result};

/// `(name, text)` of every shader file, sorted by name; parts are `"parts/<name>"`.
pub static SHADERS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shader_list.rs"));

/// Text of a shader file by name.
pub fn source(name: &str) -> Result<&'static str> {
    match SHADERS.binary_search_by_key(&name, |(n, _)| n) {
        Ok(i) => Ok(SHADERS[i].1),
        Err(_) => Err(Error::Shader { name: name.into(), reason: "there is no such file in shaders/".into() }),
    }
}
