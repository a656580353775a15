//! Translations: a linked shader as the languages below wgpu get it, with its `override` constants resolved.
//!
//! wgpu does this at run time for the one language of its system. Here it is done for all of them, with the options
//! that wgpu's backends take, so that a shader which one of them cannot have is known on any machine.

use super::Linked;
use super::reflect::{Prepared, chain, parse, prepare};
use crate::{Error, Result};
use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ResourceBinding, ShaderStage};

/// A language that shaders are translated to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// Metal Shading Language 2.4, that of macOS 12; 3.0 has nothing more that we use.
    Msl,
    /// HLSL for DirectX 12: shader model 5.1, 6.0 with subgroups, 6.2 with f16.
    Hlsl,
    /// GLSL ES 3.10, the oldest with compute shaders and storage buffers.
    GlslEs,
    /// GLSL 4.50 of the desktop: naga selects among integers with `mix`, which 4.30 does not have.
    Glsl,
    /// SPIR-V 1.3, that of Vulkan 1.1.
    SpirV,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 5] = [Self::Msl, Self::Hlsl, Self::GlslEs, Self::Glsl, Self::SpirV];

    /// Name as reports print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Msl => "MSL",
            Self::Hlsl => "HLSL",
            Self::GlslEs => "GLSL ES",
            Self::Glsl => "GLSL",
            Self::SpirV => "SPIR-V",
        }
    }
    /// Extension of a file of the language, which compilers go by.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Msl => "metal",
            Self::Hlsl => "hlsl",
            Self::GlslEs => "es.comp",
            Self::Glsl => "comp",
            Self::SpirV => "spv",
        }
    }
    /// Why the language has no shaders with these needs, if it has none. `launch` gives no such shader there, because
    /// wgpu reports no such feature for an adapter that is spoken to in this language.
    pub fn lacks(self, needs: Needs) -> Option<&'static str> {
        // naga can write subgroup operations in GLSL; wgpu asks for them over OpenGL as little as for f16.
        let glsl = matches!(self, Self::GlslEs | Self::Glsl);
        (glsl && needs.f16).then_some("no f16: wgpu has no shader-f16 over OpenGL")
    }
}

/// Optional features that a shader uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Needs {
    /// The type f16.
    pub f16: bool,
    /// Subgroup operations.
    pub subgroup: bool,
}

/// The optional features that a linked shader uses: those without which it does not validate.
pub fn needs(linked: &Linked) -> Result<Needs> {
    Ok(needs_of(&parse(linked)?))
}

fn needs_of(module: &Module) -> Needs {
    let valid = |without: Capabilities| {
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all() - without);
        validator.validate(module).is_ok()
    };
    Needs { f16: !valid(Capabilities::SHADER_FLOAT16), subgroup: !valid(Capabilities::SUBGROUP) }
}

/// The shader as browsers want it: naga refuses the directive `enable subgroups;`, Tint demands it.
pub fn for_browsers(linked: &Linked) -> Result<String> {
    let enable = if needs(linked)?.subgroup { "enable subgroups;\n" } else { "" };
    Ok(format!("{enable}{}", linked.text))
}

/// A linked shader with its override values, ready to be translated.
pub struct Translator {
    name: String,
    module: Module,
    info: ModuleInfo,
    needs: Needs,
}

impl Translator {
    /// Resolves the overrides. Errors: the shader does not parse or validate.
    pub fn new(linked: &Linked, overrides: &[(&str, f64)]) -> Result<Self> {
        let Prepared { module, info, .. } = prepare(linked, overrides)?;
        let needs = needs_of(&module);
        Ok(Self { name: linked.name().into(), module, info, needs })
    }
    /// The optional features that the shader uses.
    pub fn needs(&self) -> Needs {
        self.needs
    }
    /// The text or words in a language. `checked`: with bounds checks and bounded loops, as for an embedder who asks
    /// for them. Errors: the language cannot express the shader.
    pub fn to(&self, language: Language, checked: bool) -> Result<Vec<u8>> {
        let Self { name, module, info, needs } = self;
        let written = match language {
            Language::Msl => to_msl(module, info, checked).map(String::into_bytes),
            Language::Hlsl => to_hlsl(module, info, *needs, checked).map(String::into_bytes),
            Language::GlslEs => to_glsl(module, info, glsl::Version::new_gles(310)).map(String::into_bytes),
            Language::Glsl => to_glsl(module, info, glsl::Version::Desktop(450)).map(String::into_bytes),
            Language::SpirV => to_spirv(module, info, checked),
        };
        let why = |reason| format!("no translation to {}: {reason}", language.name());
        written.map_err(|reason| Error::Shader { name: name.clone(), reason: why(reason) })
    }
}

const ENTRY: &str = "main";

fn policies(checked: bool) -> BoundsCheckPolicies {
    let policy = if checked { BoundsCheckPolicy::Restrict } else { BoundsCheckPolicy::Unchecked };
    BoundsCheckPolicies { index: policy, buffer: policy, image_load: policy, binding_array: policy }
}

/// Every bound buffer with a number of its own, as wgpu gives them out: by group and binding.
fn slots(module: &Module) -> Vec<(ResourceBinding, AddressSpace, u8)> {
    let bound = |v: &naga::GlobalVariable| Some((v.binding?, v.space));
    let mut all: Vec<_> = module.global_variables.iter().filter_map(|(_, v)| bound(v)).collect();
    all.sort_by_key(|(place, _)| (place.group, place.binding));
    let numbered = all.into_iter().zip(0u8..);
    numbered.map(|((place, space), slot)| (place, space, slot)).collect()
}

fn to_msl(module: &Module, info: &ModuleInfo, checked: bool) -> Result<String, String> {
    let slots = slots(module);
    let target = |(place, space, slot): &(ResourceBinding, AddressSpace, u8)| {
        let mutable = matches!(space, AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE));
        (*place, msl::BindTarget { buffer: Some(*slot), mutable, ..Default::default() })
    };
    let resources = msl::EntryPointResources {
        resources: slots.iter().map(target).collect(),
        sizes_buffer: Some(slots.len() as u8),
        immediates_buffer: None,
    };
    let options = msl::Options {
        lang_version: (2, 4),
        per_entry_point_map: [(ENTRY.to_owned(), resources)].into(),
        fake_missing_bindings: false,
        bounds_check_policies: policies(checked),
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: checked,
        emit_int_div_checks: checked,
        ..Default::default()
    };
    let entry = msl::PipelineOptions { entry_point: Some((ShaderStage::Compute, ENTRY.into())), ..Default::default() };
    let (text, said) = msl::write_string(module, info, &options, &entry).map_err(|e| chain(&e))?;
    // A binding that cannot be translated is reported here, not by the writer.
    said.entry_point_names.into_iter().try_for_each(|name| name.map(drop)).map_err(|e| chain(&e))?;
    Ok(text)
}

fn to_hlsl(module: &Module, info: &ModuleInfo, needs: Needs, checked: bool) -> Result<String, String> {
    let target = |(place, _, slot): &(ResourceBinding, AddressSpace, u8)| {
        let register = u32::from(*slot);
        let target = hlsl::BindTarget { space: 0, register, restrict_indexing: checked, ..Default::default() };
        (*place, target)
    };
    let options = hlsl::Options {
        shader_model: match needs {
            Needs { f16: true, .. } => hlsl::ShaderModel::V6_2,
            Needs { subgroup: true, .. } => hlsl::ShaderModel::V6_0,
            _ => hlsl::ShaderModel::V5_1,
        },
        binding_map: slots(module).iter().map(target).collect(),
        fake_missing_bindings: false,
        zero_initialize_workgroup_memory: false,
        restrict_indexing: checked,
        force_loop_bounding: checked,
        ..Default::default()
    };
    let entry = hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, ENTRY.into())) };
    let mut text = String::new();
    let said = hlsl::Writer::new(&mut text, &options, &entry).write(module, info, None).map_err(|e| chain(&e))?;
    said.entry_point_names.into_iter().try_for_each(|name| name.map(drop)).map_err(|e| chain(&e))?;
    Ok(text)
}

/// OpenGL has its own bounds checks, or none; wgpu asks naga for none.
fn to_glsl(module: &Module, info: &ModuleInfo, version: glsl::Version) -> Result<String, String> {
    let options = glsl::Options {
        version,
        writer_flags: glsl::WriterFlags::empty(),
        binding_map: slots(module).into_iter().map(|(place, _, slot)| (place, slot)).collect(),
        zero_initialize_workgroup_memory: false,
    };
    let entry =
        glsl::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: ENTRY.into(), multiview: None };
    let mut text = String::new();
    let mut writer =
        glsl::Writer::new(&mut text, module, info, &options, &entry, policies(false)).map_err(|e| chain(&e))?;
    writer.write().map_err(|e| chain(&e))?;
    Ok(text)
}

fn to_spirv(module: &Module, info: &ModuleInfo, checked: bool) -> Result<Vec<u8>, String> {
    let options = spv::Options {
        lang_version: (1, 3),
        flags: spv::WriterFlags::empty(),
        bounds_check_policies: policies(checked),
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: checked,
        emit_int_div_checks: checked,
        ..Default::default()
    };
    let entry = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: ENTRY.into() };
    let words = spv::write_vec(module, info, &options, Some(&entry)).map_err(|e| chain(&e))?;
    Ok(words.into_iter().flat_map(u32::to_le_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::super::link::join;
    use super::*;

    const HEAD: &str = "@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
override LANES: u32 = 64;
";

    fn kernel(head: &str, body: &str) -> Linked {
        let main = "@compute @workgroup_size(LANES)\nfn main(@builtin(local_invocation_index) lane: u32)";
        join(&[("k", &format!("{head}{HEAD}{main} {{ {body} }}\n"))])
    }

    fn bytes(linked: &Linked, language: Language) -> Result<Vec<u8>> {
        Translator::new(linked, &[("LANES", 32.0)])?.to(language, false)
    }

    fn text(linked: &Linked, language: Language) -> String {
        String::from_utf8(bytes(linked, language).unwrap()).unwrap()
    }

    #[test]
    fn overrides_are_resolved_and_buffers_have_places() {
        let linked = kernel("", "y[lane] = x[lane];");
        let hlsl = text(&linked, Language::Hlsl);
        assert!(hlsl.contains("numthreads(32, 1, 1)") && hlsl.contains("register(u1)"), "{hlsl}");
        let glsl = text(&linked, Language::GlslEs);
        assert!(glsl.contains("local_size_x = 32") && glsl.contains("binding = 1"), "{glsl}");
        let msl = text(&linked, Language::Msl);
        assert!(msl.contains("[[buffer(1)]]"), "{msl}");
        let spirv = bytes(&linked, Language::SpirV).unwrap();
        assert_eq!(spirv[..4], 0x0723_0203_u32.to_le_bytes());
    }

    #[test]
    fn needs_are_those_of_the_text() {
        assert_eq!(needs(&kernel("", "y[lane] = x[lane];")).unwrap(), Needs::default());
        let subgroup = kernel("", "y[lane] = subgroupAdd(x[lane]);");
        assert_eq!(needs(&subgroup).unwrap(), Needs { f16: false, subgroup: true });
        assert!(for_browsers(&subgroup).unwrap().starts_with("enable subgroups;\n"));
        let half = kernel("enable f16;\n", "y[lane] = f32(f16(x[lane]));");
        assert_eq!(needs(&half).unwrap(), Needs { f16: true, subgroup: false });
        assert!(Language::Glsl.lacks(needs(&half).unwrap()).is_some());
        assert!(bytes(&half, Language::Glsl).is_err(), "what a language lacks is not translated");
        assert!(text(&half, Language::Hlsl).contains("half"));
    }
}
