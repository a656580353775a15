//! Tests against what PIL and transformers made of pictures; skipped, with a word on stderr, where the folder of
//! goldens is absent. The kernels' oracles stand for the kernels.

use super::*;
use crate::DType;
use crate::kernels::{Kernel, Normalize, resize_passes};
use crate::reference::{Array, pillow_resize};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A folder of the goldens, if they are there.
pub(super) fn shared(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("OMMA_SHARED").map_or_else(beside, PathBuf::from).join(name);
    if !folder.is_dir() {
        eprintln!("skipped: there is no {}", folder.display());
        return None;
    }
    Some(folder)
}

pub(super) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(super) fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let data = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    data.data().chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect()
}

pub(super) fn picture(path: &Path) -> Picture {
    Picture::decode("picture", &std::fs::read(path).unwrap(), &Limits::default()).unwrap()
}

pub(super) fn array(dtype: DType, shape: &[usize], values: impl Iterator<Item = f64>) -> Array {
    Array::new(dtype, shape, values.collect())
}

fn tables(walk: &Walk) -> [Array; 2] {
    [
        array(DType::U32, &[walk.runs.len() / 4, 4], walk.runs.iter().map(|v| f64::from(*v))),
        array(DType::I32, &[walk.count(), Walk::row(walk.slots)], walk.steps.iter().map(|v| f64::from(*v))),
    ]
}

/// All rows of a kernel's output, by its oracle.
pub(super) fn run(kernel: &dyn Kernel, inputs: &[Array]) -> Array {
    let types: Vec<_> = inputs.iter().map(|a| crate::kernels::TensorType::new(a.dtype, &a.shape)).collect();
    let out = kernel.infer(&types).unwrap().remove(0);
    let cells = (0..out.rows()).flat_map(|row| kernel.oracle(inputs, 0, row));
    array(out.dtype, &out.shape, cells.map(|c| c.want))
}

/// The resized and cropped picture of a plan.
pub(super) fn resize(plan: &Plan, picture: &Picture) -> Array {
    let shape = [picture.height as usize, picture.width as usize];
    let source = array(DType::U32, &shape, picture.pixels.iter().map(|p| f64::from(*p)));
    let passes = resize_passes(plan, false, true).unwrap();
    passes.iter().fold(source, |x, (pass, walk)| run(pass, &[vec![x], tables(walk).to_vec()].concat()))
}

/// Largest error in units of the tolerance 2e-6 + 1e-4 * |want|.
fn worst(plan: &Plan, picture: &Picture, want: &[f64]) -> f64 {
    let got = run(&Normalize::new(plan), &[resize(plan, picture)]);
    assert_eq!(got.data.len(), want.len());
    let pairs = got.data.iter().zip(want);
    pairs.map(|(g, w)| (g - w).abs() / (2e-6 + 1e-4 * w.abs())).fold(0.0, f64::max)
}

fn no_steps(size: Size, resample: Resample) -> Preprocess {
    let mut steps = Preprocess::read(None, None, Some("ViTImageProcessor")).unwrap();
    (steps.size, steps.resample) = (Some(size), resample);
    steps
}

#[test]
fn pil_resizes_are_exact() {
    let Some(folder) = shared("image") else { return };
    let bytes = std::fs::read(folder.join("pil_resize_u8.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let pixels = |name: &str| {
        let view = tensors.tensor(name).unwrap();
        let (height, width) = (view.shape()[0] as u32, view.shape()[1] as u32);
        let rgb = view.data().iter().flat_map(|v| vec![*v; if view.shape().len() == 2 { 3 } else { 1 }]);
        Picture::from_rgb8(width, height, &rgb.collect::<Vec<_>>()).unwrap()
    };
    let filters = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"];
    let mut checked = 0;
    for name in tensors.names() {
        let parts: Vec<&str> = name.split('.').collect();
        let [image, filter, _] = parts[..] else { continue };
        let number = filters.iter().position(|f| *f == filter).unwrap();
        let filter = Resample::from_pil(number as u64).unwrap();
        let (source, want) = (pixels(&format!("{image}.source")), pixels(name));
        let out = pillow_resize(&source.pixels, (source.width, source.height), (want.width, want.height), filter);
        assert!(out == want.pixels, "{name}: the definition differs");
        let size = Size::Exact { height: want.height, width: want.width };
        let plan = no_steps(size, filter).plan(source.width, source.height, Policy::None, None).unwrap();
        let want: Vec<f64> = want.pixels.iter().map(|p| f64::from(*p)).collect();
        assert!(resize(&plan, &source).data == want, "{name}: the two passes differ");
        checked += 1;
    }
    assert_eq!(checked, 54);
}

#[test]
fn processors_agree_with_transformers() {
    let Some(folder) = shared("image") else { return };
    let index = json(&folder.join("preprocess.json"));
    let bytes = std::fs::read(folder.join("preprocess.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let names = ["clip", "clip_resize_bigger_crop", "vit_bilinear", "siglip", "blip", "deit", "llava_pad"];
    for name in names {
        let steps = Preprocess::from_value(name, &index["processors"][name], None).unwrap();
        for image in index["images"].as_object().unwrap().keys() {
            let picture = picture(&folder.join(format!("{image}.png")));
            let plan = steps.plan(picture.width, picture.height, Policy::Auto, None).unwrap();
            let want = floats(&tensors, &format!("{name}.{image}.pixel_values"));
            let worst = worst(&plan, &picture, &want);
            assert!(worst <= 1.0, "{name} {image}: {worst} x tolerance");
        }
    }
}

/// Every picture of a golden model case gives the `pixel_values` that the model received.
#[test]
fn pictures_of_the_model_cases() {
    let names = ["cases/vit", "cases/beit", "cases/clip_vit_l14_336", "cases/llava15_336", "cases/llava15_gqa"];
    let extra = ["clip_vit_b16_gelu", "deit", "dinov2", "siglip", "vipllava"];
    let extra = extra.map(|n| format!("cases_extra/{n}"));
    for name in names.map(String::from).into_iter().chain(extra) {
        let Some(folder) = shared(&name) else { return };
        let text = std::fs::read_to_string(folder.join("preprocessor_config.json")).unwrap();
        let steps = Preprocess::read(Some(("preprocessor_config.json", &text)), None, None).unwrap();
        let case = json(&folder.join("case.json"));
        let mut checked = 0;
        for sample in case["samples"].as_array().unwrap() {
            let images = sample["images"].as_array().into_iter().flatten();
            let images: Vec<Picture> = images.map(|i| picture(&folder.join(i.as_str().unwrap()))).collect();
            let bytes = std::fs::read(folder.join(sample["inputs"].as_str().unwrap())).unwrap();
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            if images.is_empty() {
                continue;
            }
            let hw: Option<[u32; 2]> = serde_json::from_value(sample["info"]["resized_hw"].clone()).ok();
            let want = floats(&tensors, "pixel_values");
            for (image, want) in images.iter().zip(want.chunks_exact(want.len() / images.len())) {
                let plan = steps.plan(image.width, image.height, Policy::Auto, hw.map(|[h, w]| (h, w))).unwrap();
                let worst = worst(&plan, image, want);
                assert!(worst <= 1.0, "{name} {image:?}: {worst} x tolerance");
                checked += 1;
            }
        }
        assert!(checked > 0, "{name} has no pictures");
    }
}
