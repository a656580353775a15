//! Pipelines: made once per list of files and override values, checked against the device's limits.

use super::{Device, Slice};
use crate::kernels::Launch;
use crate::wgsl::{self, Linked, Reflection};
use crate::{Error, Result};
use std::sync::Arc;

/// What a pipeline is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PipelineKey {
    /// Shader files, kernel first.
    pub files: Vec<&'static str>,
    /// Override values as bits.
    pub overrides: Vec<(&'static str, u64)>,
}

impl PipelineKey {
    /// The key of a launch.
    pub fn of(launch: &Launch) -> Self {
        let overrides = launch.overrides.iter().map(|(name, value)| (*name, value.to_bits())).collect();
        Self { files: launch.files.clone(), overrides }
    }
}

/// A compiled shader with its reflection.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) raw: wgpu::ComputePipeline,
    layouts: Vec<wgpu::BindGroupLayout>,
    /// Bindings, params, lanes.
    pub reflection: Reflection,
}

impl Pipeline {
    /// Checks that the words of a launch are those of the shader's `Params`, by name and order.
    pub fn check_params(&self, launch: &Launch) -> Result<()> {
        let got: Vec<&str> = launch.params.iter().map(|(name, _)| *name).collect();
        self.check_words(launch.files[0], &got)
    }
    /// Checks that `got` are the members of the shader's `Params`, in order.
    pub fn check_words(&self, name: &str, got: &[&str]) -> Result<()> {
        let want: Vec<&str> = self.reflection.params.iter().map(|(name, _)| name.as_str()).collect();
        if want == got {
            return Ok(());
        }
        let reason = format!("Params has the members {want:?}, the launch gives {got:?}");
        Err(Error::Shader { name: name.into(), reason })
    }
}

impl Device {
    /// The pipeline of a launch, compiled on first use.
    pub async fn pipeline(&self, launch: &Launch) -> Result<Arc<Pipeline>> {
        let key = PipelineKey::of(launch);
        if let Some(pipeline) = self.pipeline_map().get(&key) {
            return Ok(pipeline.clone());
        }
        let made = Arc::new(self.compile(launch).await?);
        self.pipeline_map().insert(key, made.clone());
        Ok(made)
    }

    /// Compiles the pipelines of many launches, side by side where the build has threads.
    pub async fn pipelines(&self, launches: &[&Launch]) -> Result<()> {
        let mut missing: Vec<&Launch> = Vec::new();
        {
            let map = self.pipeline_map();
            for launch in launches {
                let key = PipelineKey::of(launch);
                if !map.contains_key(&key) && !missing.iter().any(|l| PipelineKey::of(l) == key) {
                    missing.push(launch);
                }
            }
        }
        self.compile_all(&missing).await
    }

    #[cfg(all(feature = "threads", not(target_arch = "wasm32")))]
    async fn compile_all(&self, launches: &[&Launch]) -> Result<()> {
        use rayon::prelude::*;
        // Native error scopes resolve at once, so each worker can finish its future by itself.
        let made: Vec<Result<Pipeline>> = launches.par_iter().map(|l| finish(self.compile(l))).collect();
        for (launch, pipeline) in launches.iter().zip(made) {
            self.pipeline_map().insert(PipelineKey::of(launch), Arc::new(pipeline?));
        }
        Ok(())
    }

    #[cfg(not(all(feature = "threads", not(target_arch = "wasm32"))))]
    async fn compile_all(&self, launches: &[&Launch]) -> Result<()> {
        for launch in launches {
            self.pipeline(launch).await?;
        }
        Ok(())
    }

    /// Files linked with what this device puts in the place of some.
    pub fn link(&self, files: &[&str]) -> Result<Linked> {
        wgsl::link_over(files, self.shaders())
    }

    /// A pipeline of a text that may come from anywhere: bounds-checked, and not kept.
    pub async fn foreign_pipeline(&self, linked: &Linked, overrides: &[(&str, f64)]) -> Result<Pipeline> {
        self.made(linked, overrides, true).await
    }

    async fn compile(&self, launch: &Launch) -> Result<Pipeline> {
        let linked = self.link(&launch.files)?;
        let pipeline = self.made(&linked, &launch.overrides, self.checked()).await?;
        pipeline.check_params(launch)?;
        Ok(pipeline)
    }

    async fn made(&self, linked: &Linked, overrides: &[(&str, f64)], checked: bool) -> Result<Pipeline> {
        let reflection = wgsl::reflect(linked, overrides)?;
        reflection.check(linked.name(), self.caps())?;
        let name = linked.name().to_owned();
        let text = if cfg!(target_arch = "wasm32") { wgsl::for_browsers(linked)? } else { linked.text.clone() };
        let groups = reflection.bindings.iter().map(|b| b.group + 1).max().unwrap_or(0);
        let make = || {
            let source = wgpu::ShaderSource::Wgsl(text.as_str().into());
            let descriptor = wgpu::ShaderModuleDescriptor { label: Some(&name), source };
            let module = self.module(descriptor, checked);
            let raw = self.wgpu().create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&name),
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: overrides,
                    zero_initialize_workgroup_memory: false,
                },
                cache: self.cache().map(|c| &c.raw),
            });
            let layouts = (0..groups).map(|g| raw.get_bind_group_layout(g)).collect();
            (raw, layouts)
        };
        let (raw, layouts) = self.scoped(&name, make).await?;
        Ok(Pipeline { raw, layouts, reflection })
    }

    fn module(&self, descriptor: wgpu::ShaderModuleDescriptor<'_>, checked: bool) -> wgpu::ShaderModule {
        if checked {
            return self.wgpu().create_shader_module(descriptor);
        }
        // SAFETY: every index of the kernels is below the extents in `Params`, which are those of the bound
        // slices (`Program::build` checks their sizes), and indices that come from data are clamped in the
        // shader; loops are bounded by the same extents. The harness runs each kernel between canaries.
        unsafe { self.wgpu().create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    }

    /// Bind groups of a pipeline: `slices` by binding name. Used bindings without a slice are an error.
    pub async fn bind(
        &self,
        pipeline: &Pipeline,
        name: &str,
        slices: &[(&str, Slice)],
    ) -> Result<Vec<wgpu::BindGroup>> {
        let mut groups = Vec::new();
        for (group, layout) in pipeline.layouts.iter().enumerate() {
            let mut entries = Vec::new();
            for binding in pipeline.reflection.bindings.iter().filter(|b| b.group as usize == group) {
                let Some((_, slice)) = slices.iter().find(|(n, _)| *n == binding.name) else {
                    let reason = format!("nothing is bound to `{}`", binding.name);
                    return Err(Error::Shader { name: name.into(), reason });
                };
                entries.push(wgpu::BindGroupEntry { binding: binding.binding, resource: slice.binding() });
            }
            let descriptor = wgpu::BindGroupDescriptor { label: Some(name), layout, entries: &entries };
            groups.push(self.scoped(name, || self.wgpu().create_bind_group(&descriptor)).await?);
        }
        Ok(groups)
    }
}

/// Finishes a future that is ready at once on native targets.
#[cfg(all(feature = "threads", not(target_arch = "wasm32")))]
fn finish<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => {
            let reason = "an error scope did not resolve at once".into();
            Err(Error::Device { what: "pipeline".into(), reason })
        }
    }
}
