//! `omma doctor`: what is there, what it reaches, whether it computes correctly, and what to do about what is missing.

use super::common::{Common, out, print_json};
use omma::gpu::{AdapterChoice, AdapterDescription, Device, OpenOptions, adapters, choose, wgpu};
use omma::kernels::{Attention, Kernel, MatMul, RmsNorm, TensorType};
use omma::measure::{Ceilings, Single, ceilings, random};
use omma::reference::Array;
use omma::{Caps, Error, Result};
use serde_json::{Value, json};
use std::sync::Arc;

/// A name, a kernel and its operands.
type SelfTest = (&'static str, Arc<dyn Kernel>, Vec<(TensorType, Array)>);

/// Arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Machine-readable.
    #[arg(long)]
    json: bool,
}

/// What was found out about an adapter.
struct Finding {
    index: usize,
    description: AdapterDescription,
    chosen: bool,
    ceilings: Option<Ceilings>,
    /// `(what, "pass" or what is wrong)`
    tests: Vec<(String, String)>,
    advice: Vec<String>,
}

/// Runs the command.
pub async fn run(common: &Common, args: &Args) -> Result<()> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let all = adapters(&instance).await;
    let choice = AdapterChoice::from(common.adapter.as_str());
    let chosen = choose(all.clone(), &choice);
    let mut findings = Vec::new();
    for (index, description) in all.into_iter().enumerate() {
        let is_chosen = chosen.as_ref().is_ok_and(|c| c.info == description.info);
        findings.push(examine(index, description, is_chosen).await);
    }
    let mut general = Vec::new();
    if let Err(error) = &chosen {
        general.push(error.to_string());
    } else if findings.iter().all(|f| f.description.caps.software) {
        general.push(SOFTWARE_ONLY.to_owned());
    }
    if args.json {
        print_json(&as_json(&findings, &general));
    } else {
        findings.iter().for_each(print_finding);
        general.iter().for_each(|line| out!("{line}"));
    }
    let failed = findings.iter().find_map(|f| {
        let bad = f.tests.iter().find(|(_, result)| result != "pass")?;
        Some(Error::Device { what: format!("{}: {}", f.description.title(), bad.0), reason: bad.1.clone() })
    });
    chosen.and(failed.map_or(Ok(()), Err))
}

const SOFTWARE_ONLY: &str = "there are only software adapters: everything works, on the CPU. For a GPU install its \
    Vulkan driver (NVIDIA: the proprietary driver with libvulkan1; AMD and Intel: mesa-vulkan-drivers); in a container \
    pass the device in (--gpus all with NVIDIA_DRIVER_CAPABILITIES=all, or --device /dev/dri); check with vulkaninfo \
    --summary, and that VK_DRIVER_FILES does not name a software driver";

async fn examine(index: usize, description: AdapterDescription, chosen: bool) -> Finding {
    let advice = advice(&description.caps);
    let mut finding = Finding { index, description, chosen, ceilings: None, tests: Vec::new(), advice };
    let options = OpenOptions { adapter: AdapterChoice::Index(index), ..Default::default() };
    match Device::open(&options).await {
        Ok(device) => {
            match ceilings(&device).await {
                Ok(measured) => finding.ceilings = Some(measured),
                Err(error) => finding.tests.push(("ceilings".into(), error.to_string())),
            }
            for (name, result) in self_test(&device).await {
                finding.tests.push((name, result));
            }
        }
        Err(error) => finding.tests.push(("open".into(), error.to_string())),
    }
    finding
}

/// Small cases against their f64 oracles.
async fn self_test(device: &Device) -> Vec<(String, String)> {
    let floats = |shape: &[usize], seed| {
        let ty = TensorType::f32(shape);
        (ty.clone(), random(&ty, seed, -1.0, 1.0))
    };
    let panels = TensorType::panels(omma::DType::F16, 96, 70);
    let spans = TensorType::u32(&[1, 4]);
    let spans = (spans.clone(), Array::new(spans.dtype, &spans.shape, vec![0.0, 50.0, 0.0, 50.0]));
    let qkv = floats(&[50, 3 * 2 * 32], 5);
    let matmul = MatMul { bias: true, act: None, residual: false };
    let cases: Vec<SelfTest> = vec![
        ("rms_norm 33x130", Arc::new(RmsNorm { eps: 1e-5 }), vec![floats(&[33, 130], 1), floats(&[130], 2)]),
        (
            "matmul 37x70x96, f16 weights",
            Arc::new(matmul),
            vec![floats(&[37, 70], 3), (panels.clone(), random(&panels, 4, -1.0, 1.0)), floats(&[96], 6)],
        ),
        ("attention 2x50x32", Arc::new(Attention::fused(2, 32)), vec![qkv.clone(), qkv.clone(), qkv, spans]),
    ];
    let mut results = Vec::new();
    for (name, kernel, inputs) in cases {
        let result = match test(device, kernel, &inputs).await {
            Ok(()) => "pass".to_owned(),
            Err(error) => error.to_string(),
        };
        results.push((name.to_owned(), result));
    }
    results
}

async fn test(device: &Device, kernel: Arc<dyn Kernel>, inputs: &[(TensorType, Array)]) -> Result<()> {
    match Single::new(device, kernel, inputs).await?.check(device).await? {
        None => Ok(()),
        Some(bad) => {
            let reason = format!("{:?} is {:e}, should be {:e} +- {:e}", bad.cell, bad.got, bad.want, bad.bound);
            Err(Error::Device {
                what: bad.kernel,
                reason: format!("{reason}; update the driver, or use another adapter"),
            })
        }
    }
}

/// What is missing, and what that means.
fn advice(caps: &Caps) -> Vec<String> {
    let mut advice = Vec::new();
    if caps.software {
        advice.push("runs on the CPU: correct, but 10 to 1000 times slower than a GPU".to_owned());
    }
    if !caps.f16 {
        advice.push("no shader-f16: activations are f32 (`--compute f16` is an error); f16 weights work".to_owned());
    }
    if caps.subgroup.is_none() {
        advice.push("no subgroup operations: sums go through workgroup memory, which is a little slower".to_owned());
    }
    if !caps.timestamps {
        advice.push("no timestamps: times are taken on the host".to_owned());
    }
    let floor = Caps::floor();
    if caps.max_binding <= floor.max_binding {
        let megabytes = caps.max_binding >> 20;
        advice.push(format!(
            "bindings of {megabytes} MiB: larger weights are kept in pieces, pictures in smaller groups"
        ));
    }
    if caps.max_storage_buffers < floor.max_storage_buffers || caps.max_lanes < floor.max_lanes {
        advice.push("below the limits that WebGPU promises: some kernels will not run here".to_owned());
    }
    advice
}

fn kind(info: &wgpu::AdapterInfo) -> &'static str {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete GPU",
        wgpu::DeviceType::IntegratedGpu => "integrated GPU",
        wgpu::DeviceType::VirtualGpu => "virtual GPU",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "unknown kind",
    }
}

/// Cooperative matrices as `8x8x8 f16 -> f32`: rows, columns and inner extent, operands and sums.
fn cooperative(adapter: &wgpu::Adapter) -> Vec<String> {
    let all = adapter.cooperative_matrix_properties().into_iter();
    let name = |ty: wgpu::CooperativeScalarType| format!("{ty:?}").to_lowercase();
    all.map(|p| format!("{}x{}x{} {} -> {}", p.m_size, p.n_size, p.k_size, name(p.ab_type), name(p.cr_type))).collect()
}

fn print_finding(f: &Finding) {
    let caps = &f.description.caps;
    let mark = if f.chosen { " <- used" } else { "" };
    out!("{}: {}, {}{mark}", f.index, f.description.title(), kind(&f.description.info));
    let subgroup = caps.subgroup.map_or("none".to_owned(), |(a, b)| format!("{a} to {b}"));
    out!("   features  f16 {}, subgroups {subgroup}, timestamps {}", caps.f16, caps.timestamps);
    out!(
        "   limits    binding {} MiB, buffer {} MiB, {} storage buffers, {} lanes, {} bytes of workgroup memory",
        caps.max_binding >> 20,
        caps.max_buffer >> 20,
        caps.max_storage_buffers,
        caps.max_lanes,
        caps.max_workgroup_bytes
    );
    let matrices = cooperative(&f.description.adapter);
    if !matrices.is_empty() {
        out!("   cooperative matrices (not used yet)  {}", matrices.join(", "));
    }
    if let Some(ceilings) = &f.ceilings {
        out!("   ceilings  {:.1} GFLOP/s, {:.1} GB/s", ceilings.gflops, ceilings.gbps);
    }
    for (name, result) in &f.tests {
        out!("   {name}: {result}");
    }
    for line in &f.advice {
        out!("   note: {line}");
    }
}

fn as_json(findings: &[Finding], general: &[String]) -> Value {
    let adapter = |f: &Finding| {
        let (caps, info) = (&f.description.caps, &f.description.info);
        json!({
            "index": f.index, "name": info.name, "driver": info.driver, "driver_info": info.driver_info,
            "backend": info.backend.to_string(), "kind": kind(info), "software": caps.software, "used": f.chosen,
            "features": { "f16": caps.f16, "subgroup": caps.subgroup, "int64": caps.int64, "timestamps": caps.timestamps,
                "cooperative_matrices": cooperative(&f.description.adapter) },
            "limits": { "max_binding": caps.max_binding, "max_buffer": caps.max_buffer, "max_uniform": caps.max_uniform,
                "max_storage_buffers": caps.max_storage_buffers, "max_lanes": caps.max_lanes,
                "max_workgroup_bytes": caps.max_workgroup_bytes, "max_groups": caps.max_groups, "align": caps.align },
            "ceilings": f.ceilings.map(|c| json!({ "gflops": c.gflops, "gbps": c.gbps })),
            "self_test": f.tests.iter().map(|(name, result)| json!({ "name": name, "result": result }))
                .collect::<Vec<_>>(),
            "advice": f.advice,
        })
    };
    json!({ "format": 1, "adapters": findings.iter().map(adapter).collect::<Vec<_>>(), "advice": general })
}
