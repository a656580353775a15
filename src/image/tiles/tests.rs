//! Orders, caps, refusals, window order, and settings from checkpoints' files.

use super::*;
use crate::image::goldens::shared;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn plan(policy: &str, width: u32, height: u32) -> TilePlan {
    Tiling::named(policy.parse().unwrap()).unwrap().plan(width, height).unwrap()
}

fn order(plan: &TilePlan) -> String {
    plan.order.iter().map(Segment::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn orders_in_words() {
    assert_eq!(order(&plan("none", 500, 400)), "tile 1 576");
    assert_eq!(
        order(&plan("uhd", 640, 480)),
        "tile 1 144 \",\" tile 2 144 \"\\n\" tile 3 144 \",\" tile 4 144 \"\\n\" overview 144"
    );
    assert_eq!(order(&plan("uhd", 336, 336)), "overview 144");
    assert_eq!(
        order(&plan("anyres", 640, 480)),
        "overview 576 map of the tiles 48x36 (of 48x48 from 0,6), [image_newline] behind each row"
    );
    assert_eq!(
        order(&plan("anyres:max=4", 2000, 1900)),
        "overview 729 map of the tiles 55x52 (of 162x135 from 10,0, 142x135 shrunk), [image_newline] behind each row"
    );
    assert_eq!(
        order(&plan("idefics3", 400, 200)),
        "\"<fake_token_around_image>\" \"<row_1_col_1>\" tile 1 169 \"<fake_token_around_image>\" \"<row_1_col_2>\" \
         tile 2 169 \"<fake_token_around_image>\" \"<row_1_col_3>\" tile 3 169 \"<fake_token_around_image>\" \
         \"<row_1_col_4>\" tile 4 169 \"\\n\" \"<fake_token_around_image>\" \"<row_2_col_1>\" tile 5 169 \
         \"<fake_token_around_image>\" \"<row_2_col_2>\" tile 6 169 \"<fake_token_around_image>\" \"<row_2_col_3>\" \
         tile 7 169 \"<fake_token_around_image>\" \"<row_2_col_4>\" tile 8 169 \"\\n\\n\" \
         \"<fake_token_around_image>\" \"<global-img>\" overview 169 \"<fake_token_around_image>\""
    );
    assert_eq!(order(&plan("internvl", 400, 400)), "\"<img>\" tile 1 256 \"</img>\"");
    assert_eq!(order(&plan("fuyu", 100, 31)), "map of the tiles 4x2, \"|NEWLINE|\" behind each row");
    assert_eq!(order(&plan("mllama", 1200, 300)), "tile 1 1601 tile 2 1601 tile 3 1601");
    let monkey = plan("monkey", 500, 400);
    assert_eq!(
        (order(&monkey).as_str(), monkey.resized),
        ("tile 1 256 tile 2 256 tile 3 256 tile 4 256 overview 256", (896, 896))
    );
}

/// The rows of MiniCPM-V are joined, not ended, by line feeds; its tags count.
#[test]
fn totals_are_sums() {
    let plan = plan("minicpmv", 1000, 1000);
    assert_eq!(plan.grid, Some((2, 2)));
    let sum = plan.tokens.tiles + plan.tokens.overview + plan.tokens.separators;
    assert_eq!((plan.tokens.total, plan.tokens.separators), (sum, 2 * 5 + 2 + 1 + 1));
}

#[test]
fn splitting_of_idefics2() {
    let rule = Tiling::Idefics2(Idefics2 { split: true, ..Idefics2::default() });
    let plan = rule.plan(1001, 501).unwrap();
    let areas: Vec<_> = plan.tiles.iter().map(|t| (t.area.x, t.area.y, t.area.width, t.area.height, t.out)).collect();
    let (left, right) = ((500, 378), (501, 378));
    assert_eq!(
        areas,
        [(0, 0, 500, 250, left), (500, 0, 501, 250, right), (0, 250, 500, 251, left), (500, 250, 501, 251, right)]
    );
    assert_eq!((plan.tokens.total, plan.tokens.separators), (5 * 64 + 6, 6));
    assert_eq!(rule.plan(1, 9).unwrap().tokens.total, 66, "one pixel cannot be halved");
    assert_eq!(self::plan("idefics2", 2000, 2000).resized, (980, 980), "squares are bounded too");
    assert_eq!(self::plan("mllama", 1120, 1120).grid, Some((2, 2)), "a scale of exactly one");
}

/// Qwen2.5-VL: a grid of 5 x 3 tokens in windows of 2.
#[test]
fn order_of_windows() {
    let rule = Native { window: Some(2), ..Native::default() };
    let (order, ends) = rule.window_order((5, 3));
    assert_eq!(order, [0, 1, 5, 6, 2, 3, 7, 8, 4, 9, 10, 11, 12, 13, 14]);
    assert_eq!(ends, [4, 8, 10, 12, 14, 15]);
    assert_eq!(Native::default().window_order((2, 2)), (vec![0, 1, 2, 3], vec![4]));
    assert_eq!(Native::patch_order((2, 1), 2), [0, 1, 4, 5, 2, 3, 6, 7]);
}

#[test]
fn what_is_refused() {
    let refusal = |policy: &str, width, height| {
        let tiling = Tiling::named(policy.parse().unwrap()).unwrap();
        tiling.plan(width, height).unwrap_err().to_string()
    };
    assert!(refusal("uhd", 0, 5).contains("0x5 pixels"));
    assert!(refusal("fuyu", 1, u32::MAX).contains("each side must be 1 to"));
    assert!(refusal("native", 1, 100_000).contains("more than 200 times"));
    assert!(refusal("pixtral", 1, 100_000).contains("too narrow"));
    assert!(refusal("anyres", 1, 100_000).contains("vanishes"));
    assert!(refusal("xcomposer", 100_000, 1).contains("too narrow"));
    assert!(refusal("fuyu", 1 << 26, 1 << 26).contains("cap"));
    let setting = |policy: &str| Tiling::named(policy.parse().unwrap()).unwrap_err().to_string();
    assert!(setting("uhd:max=5000").contains("1 to 4096"));
    assert!(setting("uhd:size=13").contains("14 does not fit into 13"));
    assert!(setting("auto").contains("checkpoint"));
    let filled = Tiling::Fuyu(Fuyu { bound: Some((1920, 1080)), fill: true, ..Fuyu::default() });
    assert_eq!(filled.plan(500, 10).unwrap().tokens.total, 64 * 36 + 36);
    assert_eq!(plan("fuyu", 65_535, 65_535).tokens.total, 2185 * 2186);
    assert_eq!(plan("uhd", 65_535, 65_535).grid, Some((3, 2)));
}

#[test]
fn caps_say_what_they_change() {
    let capped = |policy: &str, width, height, most| {
        Tiling::named(policy.parse().unwrap()).unwrap().plan_within(width, height, most)
    };
    let plan = capped("uhd", 1920, 1080, 600).unwrap();
    assert_eq!(plan.choice.as_deref(), Some("at most 600 image tokens: 1014 tokens became 579 with at most 4 tiles"));
    let plan = capped("native", 4000, 3000, 300).unwrap();
    assert_eq!(
        plan.choice.as_deref(),
        Some("at most 300 image tokens: 1230 tokens became 300 with at most 235200 pixels")
    );
    let plan = capped("fuyu", 8000, 6000, 2000).unwrap();
    assert!((1900..=2000).contains(&plan.tokens.total), "{plan}");
    assert_eq!(capped("anyres", 640, 480, 2340).unwrap().choice, None);
    assert!(capped("anyres", 640, 480, 2339).unwrap().tokens.total < 2340);
    let refusal = capped("uhd", 1920, 1080, 143).unwrap_err().to_string();
    assert!(refusal.contains("needs at least 144 tokens"), "{refusal}");
    let refusal = capped("monkey", 9, 9, 5).unwrap_err().to_string();
    assert!(refusal.contains("policy monkey needs at least 1280 tokens"), "{refusal}");
    assert!(capped("native", 1, 100_000, 50).is_err());
    assert!(capped("fuyu", 1 << 26, 1 << 26, 5000).unwrap().tokens.total <= 5000);
}

fn of(config: &Value, image: &Value) -> Result<Tiling> {
    let (config, image) = (config.to_string(), image.to_string());
    Tiling::of_checkpoint(&CheckpointFiles { config: Some(&config), preprocessor: Some(&image), processor: None })
}

#[test]
fn settings_of_checkpoints() {
    let vision = json!({ "model_type": "x", "vision_config": { "patch_size": 14, "image_size": 336 } });
    let clip = json!({ "image_processor_type": "CLIPImageProcessor", "crop_size": 336, "size": 336 });
    assert_eq!(of(&vision, &clip).unwrap().plan(500, 300).unwrap().tokens.total, 576);
    // LLaVA's own configuration.
    let own = json!({ "mm_vision_tower": "openai/clip-vit-large-patch14-336", "image_aspect_ratio": "anyres",
        "mm_patch_merge_type": "spatial_unpad", "image_grid_pinpoints": [[336, 672], [672, 336]] });
    let Tiling::AnyRes(rule) = of(&own, &clip).unwrap() else { panic!("not anyres") };
    assert_eq!((rule.canvases.len(), rule.unpad, rule.newline, rule.tile), (2, Unpad::Truncated, true, 336));
    let pad = json!({ "mm_vision_tower": "a", "image_aspect_ratio": "pad" });
    assert_eq!(of(&pad, &clip).unwrap().plan(500, 300).unwrap().policy, Policy::Pad);
    let minicpmv = json!({ "image_processor_type": "MiniCPMVImageProcessor", "max_slice_nums": 4 });
    assert!(matches!(of(&json!({ "query_num": 96 }), &minicpmv).unwrap(), Tiling::MiniCpmV(r) if r.max == 4));

    let refusal = |config: &Value, image: Value| of(config, &image).unwrap_err().to_string();
    let next = |fields: Value| {
        let mut image = json!({ "image_processor_type": "LlavaNextImageProcessor" });
        image.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        image
    };
    assert!(refusal(&vision, next(json!({ "size": { "shortest_edge": 300 } }))).contains("crop_size"));
    assert!(refusal(&vision, next(json!({ "image_grid_pinpoints": [[224, 0]] }))).contains("whole tiles"));
    assert!(refusal(&vision, next(json!({ "image_grid_pinpoints": [[224]] }))).contains("pairs"));
    assert!(refusal(&vision, json!({ "image_processor_type": "OddImageProcessor" })).contains("Odd"));
    assert!(refusal(&json!({}), next(json!({}))).contains("patch_size"));
    let fuyu = json!({ "image_processor_type": "FuyuImageProcessor", "patch_size": { "height": 30, "width": 20 } });
    assert!(refusal(&vision, fuyu).contains("one length"));
    assert!(Tiling::of_checkpoint(&CheckpointFiles::default()).is_err());
}

/// Every model case of a tiling family, by its own files: the shapes that the model received, and as many image tokens
/// as its prompt has. A configuration that leaves defaults out gives the same.
#[test]
fn model_cases_by_their_own_files() {
    let text = |path: PathBuf| std::fs::read_to_string(path).ok();
    let mut checked = 0;
    for (name, token) in CASES {
        let Some(folder) = shared(name) else { return };
        let read = |file: &str| text(folder.join(file));
        for config in ["config.json", "config_sparse.json"] {
            let (config, image, processor) =
                (read(config), read("preprocessor_config.json"), read("processor_config.json"));
            let files = CheckpointFiles {
                config: config.as_deref(),
                preprocessor: image.as_deref(),
                processor: processor.as_deref(),
            };
            let tiling = Tiling::of_checkpoint(&files).unwrap_or_else(|e| panic!("{name}: {e}"));
            let case: Value = serde_json::from_str(&read("case.json").unwrap()).unwrap();
            for sample in case["samples"].as_array().unwrap() {
                check_sample(name, &folder, &tiling, sample, *token);
                checked += 1;
            }
        }
    }
    assert!(checked >= 2 * CASES.len());
}

/// Folder, and the id that stands for a feature in `input_ids`.
const CASES: &[(&str, Option<i64>)] = &[
    ("cases/llava_next", Some(400)),
    ("cases/fuyu", Some(400)),
    ("cases/qwen2_vl", Some(338)),
    ("cases/qwen2_5_vl", Some(338)),
    ("cases/internvl", Some(339)),
    ("cases/idefics2", Some(401)),
    ("cases_extra/pixtral", Some(400)),
    ("cases_extra/mllama", None),
    ("cases_extra/llava_onevision", Some(338)),
    ("cases_extra/siglip", None),
    ("cases_extra/dinov2", None),
    ("cases_extra/idefics3", Some(401)),
    ("cases_extra/mistral3", Some(400)),
];

fn check_sample(name: &str, folder: &Path, tiling: &Tiling, sample: &Value, token: Option<i64>) {
    let sizes = sample["images"].as_array().unwrap().iter().map(|file| {
        let bytes = std::fs::read(folder.join(file.as_str().unwrap())).unwrap();
        let picture = crate::image::Picture::decode("picture", &bytes, &Default::default()).unwrap();
        (picture.width, picture.height)
    });
    let plans: Vec<TilePlan> = sizes.map(|(w, h)| tiling.plan(w, h).unwrap()).collect();
    let bytes = std::fs::read(folder.join(sample["inputs"].as_str().unwrap())).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    if let Some(token) = token {
        let ids = tensors.tensor("input_ids").unwrap();
        let ids = ids.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()));
        let want = ids.filter(|id| *id == token).count() as u64;
        // One placeholder a feature and a learned vector; tokens of the vocabulary stand for themselves.
        let learned = |s: &Segment| match s {
            Segment::Mark(mark) => u64::from(mark.learned),
            Segment::Map(map) if map.row_end.as_ref().is_some_and(|m| m.learned) => map.marks(),
            _ => 0,
        };
        let held = |p: &TilePlan| p.tokens.tiles + p.tokens.overview + p.order.iter().map(learned).sum::<u64>();
        assert_eq!(plans.iter().map(held).sum::<u64>(), want, "{name}: {}", plans[0]);
    }
    let inputs: usize = plans.iter().map(|p| p.tiles.len() + usize::from(p.overview.is_some())).sum();
    let Ok(pixels) = tensors.tensor("pixel_values") else { return };
    let shape = pixels.shape();
    match shape.len() {
        // Patches: [patches of all pictures, values of a patch].
        2 => {
            let area: usize = plans.iter().map(|p| p.resized.0 as usize * p.resized.1 as usize).sum();
            assert_eq!(shape[0] * shape[1], area * 3 * 2, "{name}: {}", plans[0]);
        }
        // [.., channels, rows, columns], with room for the most inputs that a picture of the batch may have.
        axes => {
            let most = plans.iter().flat_map(|p| p.tiles.iter().map(|t| t.out).chain(p.overview.map(|o| o.out)));
            let most = most.fold((0, 0), |most, out| (most.0.max(out.0), most.1.max(out.1)));
            assert_eq!((shape[axes - 1], shape[axes - 2]), (most.0 as usize, most.1 as usize), "{name}");
            let room: usize = shape[..axes - 3].iter().product();
            assert!(inputs == room || (name.ends_with("mllama") && inputs <= room), "{name}: {inputs} of {room}");
        }
    }
}
