//! The planner tables that the original projects' own code wrote: every row, exactly. They lie in
//! `kernels-test/goldens/tiles`; where the folder of goldens is at hand, the tables there are run too.

use super::*;
use serde_json::{Value, json};
use std::path::Path;

/// The tables of that name: the repository's, and that of the folder of goldens under `path` if it is there.
fn tables(name: &str, path: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let own = read(&root.join("kernels-test/goldens/tiles").join(name).with_extension("json"));
    let shared = std::env::var_os("OMMA_SHARED").map_or_else(|| root.join("../shared"), Into::into).join(path);
    if shared.is_file() {
        return vec![own, read(&shared)];
    }
    eprintln!("skipped: there is no {}; the repository's own copy is checked", shared.display());
    vec![own]
}

/// All rows of the tables.
fn rows(name: &str, path: &str) -> Vec<Value> {
    let list = |table: Value| table.get("rows").unwrap_or(&table).as_array().unwrap().clone();
    let rows: Vec<Value> = tables(name, path).into_iter().flat_map(list).collect();
    assert!(rows.len() >= 25, "{name} has {} rows", rows.len());
    rows
}

fn number(row: &Value, key: &str) -> u32 {
    row[key].as_u64().unwrap_or_else(|| panic!("{key} of {row}")) as u32
}

/// Plan of a row that states width and height, or height and width.
fn plan(tiling: &Tiling, row: &Value) -> Result<TilePlan> {
    let (width, height) = match row["hw"].as_array() {
        Some(hw) => (hw[1].as_u64().unwrap() as u32, hw[0].as_u64().unwrap() as u32),
        None => (number(row, "w"), number(row, "h")),
    };
    tiling.clone().checked().unwrap().plan(width, height)
}

fn pair((a, b): (u32, u32)) -> Value {
    json!([a, b])
}

fn flipped((width, height): (u32, u32)) -> Value {
    json!([height, width])
}

fn canvas(plan: &TilePlan) -> (u32, u32) {
    (plan.canvas.width, plan.canvas.height)
}

fn overview(plan: &TilePlan) -> (u32, u32) {
    plan.overview.map_or((0, 0), |o| o.out)
}

fn map(plan: &TilePlan) -> &FeatureMap {
    let map = |segment: &'_ Segment| matches!(segment, Segment::Map(map) if map.of == Of::Tiles);
    match plan.order.iter().find(|s| map(s)) {
        Some(Segment::Map(map)) => map,
        _ => panic!("no map in {plan}"),
    }
}

#[test]
fn llava_next_as_its_own_code() {
    for row in rows("anyres", "cases_original/anyres_table/table.json") {
        let plan = plan(&Tiling::AnyRes(AnyRes::default()), &row);
        if row["best"].is_null() {
            assert!(plan.is_err(), "{row}");
            continue;
        }
        let plan = plan.unwrap();
        assert_eq!(pair(canvas(&plan)), row["best"], "{row}");
        assert_eq!(plan.grid.map(pair), Some(row["grid"].clone()), "{row}");
        assert_eq!(pair((map(&plan).kept.width, map(&plan).kept.height)), row["unpadded"], "{row}");
        assert_eq!(json!(plan.tokens.total), row["tokens"], "{row}");
    }
}

#[test]
fn llava_next_and_onevision_as_transformers() {
    let tables = tables("llava_next", "image/llava_next.json");
    for (name, tile) in [("llava_next", 336), ("onevision", 384)] {
        for table in &tables {
            let canvases = table["grids"][name].as_array().unwrap().iter();
            let canvases = canvases.map(|hw| (hw[1].as_u64().unwrap() as u32, hw[0].as_u64().unwrap() as u32));
            let rule = AnyRes { tile, canvases: canvases.collect(), unpad: Unpad::Rounded, ..AnyRes::default() };
            let rule = Tiling::AnyRes(rule);
            for row in table["rows"].as_array().unwrap() {
                let (plan, want) = (plan(&rule, row), &row[name]);
                if want.get("error").is_some() || want["best_hw"].is_null() {
                    assert!(plan.is_err(), "{row}");
                    continue;
                }
                let plan = plan.unwrap();
                assert_eq!(flipped(canvas(&plan)), want["best_hw"], "{row}");
                assert_eq!(flipped(plan.resized), want["resized_hw"], "{row}");
                if let Some(tokens) = want.get("image_tokens") {
                    assert_eq!(&json!(plan.tokens.total), tokens, "{row}");
                }
            }
        }
    }
}

#[test]
fn uhd_as_released() {
    let path = "cases_original/uhd_v1_slices_table";
    for (name, file, policy) in [
        ("uhd_v1_slices", "table.json", "uhd"),
        ("uhd_v1_slices_9_448", "table_9_448.json", "uhd:max=9,size=448,patch=14"),
    ] {
        let tiling = Tiling::named(policy.parse().unwrap()).unwrap();
        for row in rows(name, &format!("{path}/{file}")) {
            let plan = plan(&tiling, &row).unwrap();
            check_slices(&plan, &row);
            let letter = |segment: &Segment| match segment {
                Segment::Mark(mark) if mark.name == "," => Some(','),
                Segment::Mark(_) => Some('n'),
                _ => None,
            };
            let letters: String = plan.order.iter().filter_map(letter).collect();
            assert_eq!(json!(letters), row["separators"], "{row}");
        }
    }
}

/// Grid, slices and overview of LLaVA-UHD and MiniCPM-V.
fn check_slices(plan: &TilePlan, row: &Value) {
    assert_eq!(json!(plan.grid.map(pair)), row["grid"], "{row}");
    assert_eq!(pair(overview(plan)), row["overview"], "{row}");
    assert_eq!(json!(plan.tiles.len()), row["slices"], "{row}");
    assert_eq!(json!(plan.tiles.first().map(|t| pair(t.out))), row["slice"], "{row}");
    assert_eq!(json!(plan.grid.map(|_| pair(plan.resized))), row["refined"], "{row}");
}

#[test]
fn uhd_as_the_paper_describes() {
    for row in rows("uhd_paper_slices", "cases_original/uhd_paper_slices_table/table.json") {
        let rule = UhdPaper::default();
        let size = (number(&row, "w"), number(&row, "h"));
        assert_eq!(pair(rule.grid(size)), row["grid"], "{row}");
        assert_eq!(json!(rule.patches(size).map(pair)), row["overview_patches"], "{row}");
        let plan = plan(&Tiling::UhdPaper(rule), &row);
        if row["slice_patches"].is_null() {
            assert!(plan.is_err(), "{row}");
            continue;
        }
        let plan = plan.unwrap();
        let slice = plan.tiles[0].out;
        assert_eq!(pair((slice.0 / 14, slice.1 / 14)), row["slice_patches"], "{row}");
        if plan.tiles.len() > 1 {
            let (width, height) = overview(&plan);
            assert_eq!(pair((width / 14, height / 14)), row["overview_patches"], "{row}");
        }
        if !row["boxes"].is_null() {
            let corners = |a: Area| json!([a.x, a.y, a.x + a.width, a.y + a.height]);
            let boxes: Vec<Value> = plan.tiles.iter().map(|t| corners(t.area)).collect();
            assert_eq!(json!(boxes), row["boxes"], "{row}");
        }
    }
}

#[test]
fn minicpmv() {
    let tiling = Tiling::MiniCpmV(MiniCpmV::default());
    for row in rows("minicpmv_slices", "cases_original/minicpmv_slices_table/table.json") {
        let plan = plan(&tiling, &row).unwrap();
        check_slices(&plan, &row);
        assert_eq!(json!(plan.tokens.total - plan.tokens.separators), row["image_tokens"], "{row}");
    }
    for row in rows("minicpmv_slices_placeholders", "cases_original/minicpmv_slices_table/placeholders.json") {
        let text = |segment: &Segment| match segment {
            Segment::Mark(mark) => mark.name.to_string(),
            other => format!("<{}>", other.tokens()),
        };
        let text: String = plan(&tiling, &row).unwrap().order.iter().map(text).collect();
        assert_eq!(json!(text), row["placeholder"], "{row}");
    }
}

#[test]
fn minicpmv_4_6_of_transformers() {
    for row in rows("uhd_slicing", "image/uhd_slicing.json") {
        let merge = if row["downsample"] == "4x" { 2 } else { 4 };
        let (max, scale, patch) = (number(&row, "max_slices"), number(&row, "scale"), number(&row, "patch"));
        let plan = plan(&Tiling::MiniCpmV(MiniCpmV::v4_6(max, scale, patch, merge)), &row).unwrap();
        assert_eq!(json!(plan.grid.map(flipped)), row["grid_rows_cols"], "{row}");
        assert_eq!(flipped(overview(&plan)), row["overview_hw"], "{row}");
        if plan.grid.is_some() {
            assert_eq!(flipped(plan.resized), row["refine_hw"], "{row}");
        }
    }
}

#[test]
fn monkey_windows() {
    let rows = rows("monkey_windows", "cases_original/monkey_windows_table/table.json");
    for row in &rows {
        let size = (row["image"][0].as_u64().unwrap() as u32, row["image"][1].as_u64().unwrap() as u32);
        let plan = Tiling::Monkey(Monkey::default()).plan(size.0, size.1).unwrap();
        let index = row["window"].as_u64().unwrap_or(plan.tiles.len() as u64) as usize;
        if let Some(tile) = plan.tiles.get(index) {
            let Area { x, y, width, height } = tile.area;
            let want = ["x0", "y0", "x1", "y1"].map(|key| number(row, key));
            assert_eq!([x, y, x + width, y + height], want, "{row}");
        }
        let before: u64 = plan.order[..index].iter().map(Segment::tokens).sum();
        assert_eq!(json!([before, before + plan.order[index].tokens()]), row["tokens"], "{row}");
        let inputs = rows.iter().filter(|other| other["image"] == row["image"]).count();
        assert_eq!(inputs % (plan.tiles.len() + 1), 0, "{row}: {} windows", plan.tiles.len());
    }
}

#[test]
fn xcomposer() {
    let (new, old) = (Tiling::XComposer(XComposer::default()), Tiling::XComposer(XComposer::khd4()));
    for row in rows("xcomposer_tiling", "cases_original/xcomposer_tiling_table/table.json") {
        let check = |tiling: &Tiling, key: &str| {
            let plan = plan(tiling, &row);
            if row[key].is_null() {
                assert!(plan.is_err(), "{key} of {row}");
                return None;
            }
            let plan = plan.unwrap();
            assert_eq!(pair(canvas(&plan)), row[key], "{key} of {row}");
            Some(plan)
        };
        if let Some(plan) = check(&new, "ixc25") {
            assert_eq!(json!(plan.tokens.total), row["ixc25_tokens"], "{row}");
        }
        if let Some(plan) = check(&old, "ixc2_4khd") {
            assert_eq!(json!(plan.grid.map(pair)), row["ixc2_4khd_grid"], "{row}");
        }
    }
}

#[test]
fn internvl() {
    for row in rows("internvl_tiling", "image/internvl_tiling.json") {
        let tile = (number(&row, "tile"), number(&row, "tile"));
        let rule = InternVl { tile, min: number(&row, "min"), max: number(&row, "max"), ..InternVl::default() };
        let plan = plan(&Tiling::InternVl(rule), &row).unwrap();
        assert_eq!(json!(plan.grid.map(pair)), row["columns_rows"], "{row}");
    }
}

#[test]
fn mllama() {
    for row in rows("mllama_tiling", "image/mllama_tiling.json") {
        let rule = Mllama { tile: number(&row, "tile"), max: number(&row, "max_tiles"), patch: 14 };
        assert_eq!(flipped(canvas(&plan(&Tiling::Mllama(rule), &row).unwrap())), row["canvas_hw"], "{row}");
    }
}

/// Tables with one resized size a row, or an error.
fn check_resized(plan: Result<TilePlan>, row: &Value) {
    if row["out"].get("error").is_some() {
        assert!(plan.is_err(), "{row}");
    } else {
        assert_eq!(flipped(plan.unwrap().resized), row["out"], "{row}");
    }
}

#[test]
fn smart_resize_of_qwen() {
    for row in rows("qwen_smart_resize", "image/qwen_smart_resize.json") {
        let (min_pixels, max_pixels) = (number(&row, "min_pixels").into(), number(&row, "max_pixels").into());
        let rule = Native { factor: number(&row, "factor"), min_pixels, max_pixels, window: None };
        check_resized(plan(&Tiling::Native(rule), &row), &row);
    }
}

#[test]
fn idefics2() {
    for row in rows("idefics2_resize", "image/idefics2_resize.json") {
        let (shortest, longest) = (number(&row, "shortest"), number(&row, "longest"));
        let rule = Idefics2 { shortest, longest, ..Idefics2::default() };
        check_resized(plan(&Tiling::Idefics2(rule), &row), &row);
    }
}

#[test]
fn pixtral() {
    for row in rows("pixtral_resize", "image/pixtral_resize.json") {
        let longest = number(&row, "longest");
        let rule = Pixtral { bound: (longest, longest), step: number(&row, "patch") };
        check_resized(plan(&Tiling::Pixtral(rule), &row), &row);
    }
}

/// The rule of each system of the table; `true`: tokens without marks.
fn systems() -> Vec<(&'static str, Tiling, bool)> {
    let one = |side, features| Tiling::Whole(Box::new(Whole::square(side, features)));
    let squeezed = |side, patch| Whole::squeezed(side, Features::Squares(patch));
    let marked = |side, patch, marks: [&'static str; 2]| {
        let [before, after] = marks.map(|name| vec![Mark::vector(name)]);
        Tiling::Whole(Box::new(Whole { before, after, ..squeezed(side, patch) }))
    };
    let queries = |side, count| one(side, Features::Queries(count));
    let monkey = |width, height| Tiling::Monkey(Monkey { size: Some((width, height)), ..Monkey::default() });
    vec![
        ("LLaVA-UHD v1 (144 per slice, with separators)", Tiling::Uhd(Uhd::default()), false),
        (
            "LLaVA-UHD v1 slicing, 64 per slice, with separators",
            Tiling::Uhd(Uhd { queries: 64, ..Uhd::default() }),
            false,
        ),
        ("LLaVA-UHD paper code (64 per slice)", Tiling::UhdPaper(UhdPaper::default()), false),
        ("MiniCPM-V 2 (queries only)", Tiling::MiniCpmV(MiniCpmV::default()), true),
        ("MiniCPM-V 2 (with markers and newlines)", Tiling::MiniCpmV(MiniCpmV::default()), false),
        ("LLaVA-NeXT (spatial_unpad)", Tiling::AnyRes(AnyRes::default()), false),
        ("LLaVA-1.5-HD style (tiles without unpad)", Tiling::AnyRes(AnyRes::hd()), false),
        ("LLaVA-OneVision (anyres_max_9, SigLIP-384)", Tiling::AnyRes(AnyRes::onevision(9)), false),
        ("InternLM-XComposer2.5 (560 tiles, hd_num 25)", Tiling::XComposer(XComposer::default()), false),
        ("InternLM-XComposer2-4KHD (336 tiles, hd_num 16, 144 per tile)", Tiling::XComposer(XComposer::khd4()), false),
        ("Fuyu / OtterHD (native size, 30 px patches + row ends)", Tiling::Fuyu(Fuyu::default()), false),
        ("Monkey 896x1344", monkey(896, 1344), false),
        ("Monkey 896x896", monkey(896, 896), false),
        ("LLaVA-1.5", Tiling::named(Policy::Pad).unwrap(), false),
        ("MoE-LLaVA", Tiling::named(Policy::None).unwrap(), false),
        ("VTW on LLaVA-1.5, layers 0..k-1", one(336, Features::Squares(14)), false),
        ("VTW on LLaVA-1.5, layers k..", queries(336, 0), false),
        ("LLaVA (224)", one(224, Features::Squares(14)), false),
        ("LLaVA-HR 768", one(768, Features::Squares(32)), false),
        ("LLaVA-HR 1024", one(1024, Features::Squares(32)), false),
        ("Qwen-VL", Tiling::Whole(Box::new(Whole::squeezed(448, Features::Queries(256)))), false),
        ("LLaMA-VID (1 context + 1 content, per frame)", queries(224, 2), false),
        ("LLaMA-VID (context + all, 224)", one(224, Features::SquaresAndClass(14)), false),
        ("CogVLM 224 (with boi, eoi)", marked(224, 14, ["boi", "eoi"]), false),
        ("CogVLM 490 (with boi, eoi)", marked(490, 14, ["boi", "eoi"]), false),
        ("CogVLM2 1344 (2x2 conv, with boi, eoi)", marked(1344, 28, ["boi", "eoi"]), false),
        ("mPLUG-Owl2 (64 queries + vit_eos)", queries(448, 65), false),
        ("MiniGPT-4 (Q-Former)", queries(224, 32), false),
        ("MiniGPT-v2 (448, four patches merged)", one(448, Features::Squares(28)), false),
        ("InternLM-XComposer 1 (64 queries + 2 flags)", queries(224, 66), false),
        ("OneLLM (30 modality tokens + 2 tags)", queries(224, 32), false),
        ("NExT-GPT", queries(224, 1), false),
        ("LaVIN (class tokens of every 4th CLIP layer)", queries(224, 6), false),
        ("Flamingo / OpenFlamingo (latents, not in the sequence)", queries(224, 64), false),
    ]
}

#[test]
fn token_counts_of_every_system() {
    let systems = systems();
    for row in rows("token_counts", "cases_original/token_counts.json") {
        let counts = row["counts"].as_object().unwrap();
        for (name, want) in counts {
            let (_, tiling, bare) =
                systems.iter().find(|(system, ..)| system == name).unwrap_or_else(|| panic!("{name} has no rule"));
            let plan = plan(tiling, &row).unwrap();
            let total = plan.tokens.total - if *bare { plan.tokens.separators } else { 0 };
            assert_eq!(json!(total), *want, "{name} of {row}");
        }
        assert_eq!(counts.len(), systems.len());
    }
}
