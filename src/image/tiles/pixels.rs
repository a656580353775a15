//! Pixels of tiled pictures against what transformers' processors made of them, by the oracles of the kernels.

use super::*;
use crate::DType;
use crate::image::goldens::{array, floats, json, picture, resize, run, shared};
use crate::image::{Picture, Plan};
use crate::kernels::Normalize;
use safetensors::SafeTensors;
use serde_json::Value;

/// The normalised planes of an input, [3, height, width].
fn planes(input: &Input, source: &Picture) -> Vec<f64> {
    assert_eq!(input.shrunk, None, "no processor of transformers shrinks planes");
    let mut bytes = source.clone();
    let (last, before) = input.steps.split_last().unwrap();
    for step in before {
        bytes = step_bytes(step, &bytes);
    }
    let shape = [last.crop.height as usize, last.crop.width as usize];
    let pixels = step_bytes(last, &bytes).pixels;
    run(&Normalize::new(last), &[array(DType::U32, &shape, pixels.iter().map(|p| f64::from(*p)))]).data
}

fn step_bytes(step: &Plan, source: &Picture) -> Picture {
    let pixels = resize(step, source).data.iter().map(|p| *p as u32).collect();
    Picture { width: step.crop.width, height: step.crop.height, pixels }
}

/// Planes cut to squares of `patch`, row by row: each [channel, row, column], or [row, column, channel].
fn patches(planes: &[f64], (width, height): (u32, u32), patch: u32, channels_last: bool) -> Vec<Vec<f64>> {
    let (columns, rows) = (width / patch, height / patch);
    let at = |c: u32, y: u32, x: u32| planes[((c * height + y) * width + x) as usize];
    let square = |(row, column): (u32, u32)| {
        let lines = (0..patch).flat_map(|v| (0..patch).map(move |u| (row * patch + v, column * patch + u)));
        match channels_last {
            true => lines.flat_map(|(y, x)| (0..3).map(move |c| at(c, y, x))).collect(),
            false => (0..3).flat_map(|c| lines.clone().map(move |(y, x)| at(c, y, x))).collect(),
        }
    };
    (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))).map(square).collect()
}

/// All values that the model receives of one picture.
fn values(tiling: &Tiling, levels: &Levels, source: &Picture) -> Vec<f64> {
    let plan = tiling.plan(source.width, source.height).unwrap();
    let inputs = plan.inputs(levels).unwrap();
    let size = (plan.canvas.width, plan.canvas.height);
    match tiling {
        Tiling::Native(rule) => {
            // Two equal frames: each patch is [channel, frame, row, column].
            let (patch, merge) = (rule.factor / 2, 2);
            let all = patches(&planes(&inputs[0], source), size, patch, false);
            let grid = (size.0 / rule.factor, size.1 / rule.factor);
            let twice =
                |patch: &Vec<f64>| patch.chunks(patch.len() / 3).flat_map(|c| [c, c].concat()).collect::<Vec<_>>();
            Native::patch_order(grid, merge).iter().flat_map(|i| twice(&all[*i as usize])).collect()
        }
        Tiling::Fuyu(rule) => patches(&planes(&inputs[0], source), size, rule.patch, true).concat(),
        _ => inputs.iter().flat_map(|input| planes(input, source)).collect(),
    }
}

/// Compares within 2e-6 + 1e-4 * |want|; beyond what the picture has, the batch is filled up with zeros.
fn compare(name: &str, got: &[f64], want: &[f64]) {
    let far = got.iter().zip(want).map(|(g, w)| (g - w).abs() / (2e-6 + 1e-4 * w.abs())).fold(0.0, f64::max);
    assert!(got.len() <= want.len() && far <= 1.0, "{name}: {far} x tolerance, {} of {}", got.len(), want.len());
    let rest = &want[got.len()..];
    assert!(rest.iter().all(|v| *v == 0.0), "{name}: {} values are missing", rest.len());
}

/// Files of a processor whose tower has patches of 14.
fn settings(config: &str, image: &str) -> (Tiling, Levels) {
    let files = CheckpointFiles { config: Some(config), preprocessor: Some(image), processor: None };
    (Tiling::of_checkpoint(&files).unwrap(), Levels::of_checkpoint(&files).unwrap())
}

#[test]
fn processors_that_tile() {
    let Some(folder) = shared("image") else { return };
    let index = json(&folder.join("preprocess.json"));
    let bytes = std::fs::read(folder.join("preprocess.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut checked = 0;
    for name in ["qwen2_vl", "llava_next", "pixtral", "idefics2", "internvl", "mllama"] {
        // Pixtral's processor is given patches of 16, and LLaVA-NeXT's tiles are 4 x 4 patches.
        let patch = if name == "pixtral" { 16 } else { 14 };
        let config = format!("{{\"model_type\": \"{name}\", \"vision_config\": {{\"patch_size\": {patch}}}}}");
        let (tiling, levels) = settings(&config, &index["processors"][name].to_string());
        for image in index["images"].as_object().unwrap().keys() {
            let bytes = std::fs::read(folder.join(format!("{image}.png"))).unwrap();
            let source = match levels.over {
                Some(colour) => Picture::decode_over(image, &bytes, &Default::default(), colour).unwrap(),
                None => Picture::decode(image, &bytes, &Default::default()).unwrap(),
            };
            if index["failures"].get(format!("{name}.{image}")).is_some() {
                assert!(tiling.plan(source.width, source.height).is_err(), "{name} {image}");
                continue;
            }
            let want = floats(&tensors, &format!("{name}.{image}.pixel_values"));
            compare(&format!("{name} {image}"), &values(&tiling, &levels, &source), &want);
            checked += 1;
        }
    }
    assert_eq!(checked, 6 * 6 - 1);
}

/// The model cases of tiling families: the pixels that the model received, from its pictures and its own files.
#[test]
fn model_cases_that_tile() {
    let cases = ["llava_next", "fuyu", "qwen2_vl", "qwen2_5_vl", "internvl"].map(|n| format!("cases/{n}"));
    let extra = ["pixtral", "mllama", "llava_onevision", "idefics3", "mistral3"].map(|n| format!("cases_extra/{n}"));
    for name in cases.into_iter().chain(extra) {
        let Some(folder) = shared(&name) else { return };
        let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
        let (tiling, levels) = settings(&read("config.json"), &read("preprocessor_config.json"));
        let case: Value = serde_json::from_str(&read("case.json")).unwrap();
        for sample in case["samples"].as_array().unwrap() {
            let images =
                sample["images"].as_array().unwrap().iter().map(|i| picture(&folder.join(i.as_str().unwrap())));
            let got: Vec<f64> = images.flat_map(|source| values(&tiling, &levels, &source)).collect();
            let bytes = std::fs::read(folder.join(sample["inputs"].as_str().unwrap())).unwrap();
            let tensors = SafeTensors::deserialize(&bytes).unwrap();
            let tensor = if name.ends_with("fuyu") { "image_patches" } else { "pixel_values" };
            compare(&name, &got, &floats(&tensors, tensor));
        }
    }
}

/// Monkey's and XComposer's overviews come from the normalised canvas; the paper's slicer resizes floats.
#[test]
fn what_is_not_bytes() {
    let levels =
        Levels { resample: crate::image::Resample::Bicubic, rescale: 1.0, mean: [0.0; 3], std: [1.0; 3], over: None };
    let inputs = |policy: &str| {
        let tiling = Tiling::named(policy.parse().unwrap()).unwrap();
        tiling.plan(900, 700).unwrap().inputs(&levels)
    };
    let monkey = inputs("monkey").unwrap();
    assert_eq!((monkey.len(), monkey[4].shrunk, monkey[0].shrunk), (5, Some((448, 448)), None));
    let khd = inputs("xcomposer").unwrap();
    assert_eq!((khd[0].shrunk, khd[1].steps[0].beyond), (Some((560, 560)), 0xffff_ffff));
    assert!(inputs("uhd-paper").unwrap_err().to_string().contains("floats"));
    assert_eq!(inputs("idefics3").unwrap().last().map(|i| i.steps.len()), Some(3));
}
