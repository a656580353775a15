//! Reflection: what a linked shader binds, how wide its workgroups are and how much memory they use once the
//! `override` constants have their values. wgpu does not check override-sized workgroups: this does.

use super::Linked;
use crate::{Caps, Error, Result};
use naga::proc::IndexableLength;
use naga::valid::{Capabilities, GlobalUse, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};

/// How a buffer is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `var<uniform>`
    Uniform,
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    ReadWrite,
}

/// A binding that the entry point uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Variable name.
    pub name: String,
    /// `@group`
    pub group: u32,
    /// `@binding`
    pub binding: u32,
    /// Address space and access.
    pub access: Access,
}

/// Type of a word of the `Params` struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `u32` or `i32`
    Int,
    /// `f32`
    Float,
}

/// What the host needs to know of a shader.
#[derive(Debug, Clone, PartialEq)]
pub struct Reflection {
    /// Used bindings, by group and binding.
    pub bindings: Vec<Binding>,
    /// Members of the struct of the `params` uniform, in order.
    pub params: Vec<(String, Word)>,
    /// Invocations of a workgroup.
    pub workgroup: [u32; 3],
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Names of the `override` constants.
    pub overrides: Vec<String>,
}

impl Reflection {
    /// The first limit of `caps` that the shader breaks.
    pub fn check(&self, name: &str, caps: &Caps) -> Result<()> {
        let lanes: u32 = self.workgroup.iter().product();
        let buffers = self.bindings.iter().filter(|b| b.access != Access::Uniform).count() as u32;
        let rows = [
            (lanes, caps.max_lanes, "lanes a workgroup"),
            (self.workgroup_bytes, caps.max_workgroup_bytes, "bytes of workgroup memory"),
            (buffers, caps.max_storage_buffers, "storage buffers"),
        ];
        match rows.iter().find(|(needs, has, _)| needs > has) {
            None => Ok(()),
            Some((needs, has, unit)) => Err(Error::MissingCapability {
                what: format!("shader {name}"),
                needs: format!("{needs} {unit}"),
                has: has.to_string(),
            }),
        }
    }
}

/// Parses, validates and reflects a linked shader with its override values.
pub fn reflect(linked: &Linked, overrides: &[(&str, f64)]) -> Result<Reflection> {
    prepare(linked, overrides)?.reflection(linked)
}

/// The IR of a linked shader once its `override` constants have their values.
pub(super) struct Prepared {
    pub module: Module,
    pub info: ModuleInfo,
    /// Names of the `override` constants.
    names: Vec<String>,
    /// Every buffer that the text binds, and where; the module has those that are used.
    pub declared: Vec<(String, naga::Span)>,
}

impl Prepared {
    pub fn reflection(self, linked: &Linked) -> Result<Reflection> {
        let Self { module, info, names, .. } = self;
        collect(&module, &info, names).map_err(|reason| Error::Shader { name: linked.name().into(), reason })
    }
}

/// Parses a linked shader; an error names file and line.
pub(super) fn parse(linked: &Linked) -> Result<Module> {
    naga::front::wgsl::parse_str(&linked.text).map_err(|e| {
        let place = e.location(&linked.text).map_or_else(String::new, |l| linked.place(l.line_number as usize));
        Error::Shader { name: linked.name().into(), reason: format!("{place}: {}", e.message()) }
    })
}

pub(super) fn prepare(linked: &Linked, overrides: &[(&str, f64)]) -> Result<Prepared> {
    let fail = |reason: String| Error::Shader { name: linked.name().into(), reason };
    let module = parse(linked)?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).map_err(|e| {
        let place = e.location(&linked.text).map_or_else(String::new, |l| linked.place(l.line_number as usize));
        fail(format!("{place}: {}", chain(&e.into_inner())))
    })?;
    let names: Vec<String> = module.overrides.iter().filter_map(|(_, o)| o.name.clone()).collect();
    if let Some((name, _)) = overrides.iter().find(|(name, _)| !names.iter().any(|n| n == name)) {
        return Err(fail(format!("there is no override {name}; there are {}", names.join(", "))));
    }
    let bound = module.global_variables.iter().filter(|(_, variable)| variable.binding.is_some());
    let named = bound.map(|(h, v)| (v.name.clone().unwrap_or_default(), module.global_variables.get_span(h)));
    let declared = named.collect();
    let constants = overrides.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let (module, info) = naga::back::pipeline_constants::process_overrides(&module, &info, None, &constants)
        .map_err(|e| fail(format!("overrides: {}", chain(&e))))?;
    Ok(Prepared { module: module.into_owned(), info: info.into_owned(), names, declared })
}

fn collect(module: &Module, info: &ModuleInfo, overrides: Vec<String>) -> Result<Reflection, String> {
    let entry = module.entry_points.first().ok_or("no entry point")?;
    let used = info.get_entry_point(0);
    let (mut bindings, mut params, mut workgroup_bytes) = (Vec::new(), Vec::new(), 0);
    for (handle, variable) in module.global_variables.iter() {
        if used[handle] == GlobalUse::empty() {
            continue;
        }
        let access = match variable.space {
            AddressSpace::Uniform => Access::Uniform,
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Access::ReadWrite,
            AddressSpace::Storage { .. } => Access::Read,
            AddressSpace::WorkGroup => {
                workgroup_bytes += size_of(module, variable.ty)?;
                continue;
            }
            _ => continue,
        };
        let place = variable.binding.as_ref().ok_or("a buffer without @group and @binding")?;
        let name = variable.name.clone().unwrap_or_default();
        if access == Access::Uniform {
            params = words(module, variable.ty)?;
        }
        bindings.push(Binding { name, group: place.group, binding: place.binding, access });
    }
    bindings.sort_by_key(|b| (b.group, b.binding));
    Ok(Reflection { bindings, params, workgroup: entry.workgroup_size, workgroup_bytes, overrides })
}

fn size_of(module: &Module, ty: naga::Handle<naga::Type>) -> Result<u32, String> {
    match module.types[ty].inner {
        TypeInner::Array { size, stride, .. } => match size.resolve(module.to_ctx()) {
            Ok(IndexableLength::Known(count)) => count.checked_mul(stride).ok_or("workgroup memory overflows".into()),
            _ => Err("a workgroup array without a size".into()),
        },
        ref inner => Ok(inner.size(module.to_ctx())),
    }
}

fn words(module: &Module, ty: naga::Handle<naga::Type>) -> Result<Vec<(String, Word)>, String> {
    let TypeInner::Struct { ref members, .. } = module.types[ty].inner else {
        return Err("the uniform is not a struct".into());
    };
    let mut words = Vec::new();
    for (i, member) in members.iter().enumerate() {
        let TypeInner::Scalar(scalar) = module.types[member.ty].inner else {
            return Err("params hold scalars only".into());
        };
        if scalar.width != 4 || member.offset != 4 * i as u32 {
            return Err("params hold 32-bit words only".into());
        }
        let word = if scalar.kind == naga::ScalarKind::Float { Word::Float } else { Word::Int };
        words.push((member.name.clone().unwrap_or_default(), word));
    }
    Ok(words)
}

/// An error with its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::super::link::join;
    use super::*;

    const TEXT: &str = "struct Params { rows: u32, eps: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> unused: array<f32>;
override LANES: u32 = 64;
var<workgroup> cells: array<f32, LANES>;
@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    cells[lane] = x[lane] + params.eps;
    y[lane] = cells[lane];
}
";

    #[test]
    fn bindings_lanes_and_bytes_follow_the_overrides() {
        let linked = join(&[("k", TEXT)]);
        let r = reflect(&linked, &[("LANES", 512.0)]).unwrap();
        assert_eq!(r.workgroup, [512, 1, 1]);
        assert_eq!(r.workgroup_bytes, 2048);
        let names: Vec<&str> = r.bindings.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names, ["params", "x", "y"]);
        assert_eq!(r.params, [("rows".into(), Word::Int), ("eps".into(), Word::Float)]);
        assert!(r.check("k", &Caps::floor()).is_err(), "512 lanes break the floor");
        assert!(reflect(&linked, &[("LANES", 256.0)]).unwrap().check("k", &Caps::floor()).is_ok());
    }

    #[test]
    fn errors_name_file_and_line() {
        let linked = join(&[("k", TEXT), ("parts/broken", "\nfn f() -> f32 { return 1u; }\n")]);
        let error = reflect(&linked, &[]).unwrap_err().to_string();
        assert!(error.contains("parts/broken.wgsl:2"), "{error}");
        let error = reflect(&join(&[("k", TEXT)]), &[("LANE", 1.0)]).unwrap_err().to_string();
        assert!(error.contains("LANES"), "{error}");
    }
}
