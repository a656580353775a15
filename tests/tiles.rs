//! `omma tiles`: what it prints, what it draws, and what it answers to wrong input. No adapter is needed.
#![cfg(feature = "cli")]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Exit code, stdout, stderr.
fn omma(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_omma")).arg("tiles").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json_of(arguments: &[&str]) -> Value {
    let (code, out, err) = omma(&[arguments, &["--json"]].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}");
    serde_json::from_str(&out).unwrap()
}

fn root(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

/// The object of a picture has every key that was promised, in the promised form.
#[test]
fn keys_of_a_plan() {
    let answer = json_of(&["672x1088", "336x336", "--policy", "uhd"]);
    assert_eq!(answer["format"], 1);
    let plan = &answer["pictures"][0];
    assert_eq!((&plan["size"], &plan["policy"]), (&json!([672, 1088]), &json!("uhd")));
    assert_eq!((&plan["resized"], &plan["grid"]), (&json!([644, 1008]), &json!([2, 3])));
    assert_eq!(plan["tiles"].as_array().unwrap().len(), 6);
    assert_eq!(plan["tiles"][3], json!({ "x": 322, "y": 336, "w": 322, "h": 336, "out": [322, 336] }));
    assert_eq!(plan["overview"], json!({ "out": [252, 420], "place": "last", "from": "picture" }));
    let tokens = json!({ "per_tile": 144, "overview": 144, "tiles": 864, "separators": 6, "total": 1014 });
    assert_eq!(plan["tokens"], tokens);
    let order = plan["order"].as_array().unwrap();
    assert_eq!(order[0], json!({ "part": "tile", "index": 0, "tokens": 144 }));
    assert_eq!(order[1], json!({ "part": "mark", "name": ",", "learned": false, "tokens": 1 }));
    assert_eq!(order[12], json!({ "part": "overview", "tokens": 144 }));
    // A picture of one slice is its overview.
    let small = &answer["pictures"][1];
    assert_eq!((&small["grid"], &small["tiles"]), (&Value::Null, &json!([])));
    let map = &json_of(&["640x480", "--policy", "anyres"])["pictures"][0]["order"][1];
    assert_eq!((&map["part"], &map["size"], &map["tokens"]), (&json!("map"), &json!([48, 36]), &json!(1764)));
    assert_eq!(map["row_end"], json!({ "name": "image_newline", "learned": true }));
}

/// Every policy plans and says its own name; parameters are kept in it.
#[test]
fn every_policy_by_name() {
    for policy in [
        "none",
        "pad",
        "anyres",
        "anyres:max=9",
        "hd",
        "uhd",
        "uhd:max=9,size=448,patch=14",
        "uhd-paper",
        "monkey",
        "minicpmv",
        "internvl",
        "native",
        "fuyu",
        "idefics2",
        "idefics3",
        "pixtral",
        "mllama",
        "xcomposer",
        "xcomposer-4khd",
    ] {
        let plan = &json_of(&["800x600", "--policy", policy])["pictures"][0];
        assert_eq!(plan["policy"], policy);
        let segments = plan["order"].as_array().unwrap().iter().map(|s| s["tokens"].as_u64().unwrap());
        assert_eq!(segments.sum::<u64>(), plan["tokens"]["total"].as_u64().unwrap(), "{policy}");
    }
}

#[test]
fn text_for_people() {
    let (code, out, _) = omma(&["1000x300", "--policy", "anyres"]);
    let want = "1000x300  policy anyres\n  resized    to 1008x303\n  canvas     1008x336, the picture at 0,16\n  \
        tiles      3 x 1, 336x336 each\n  overview   336x336, first\n  \
        tokens     2182 = 1584 of tiles + 576 of the overview + 22 separators (576 a tile)\n  \
        order      overview 576 map of the tiles 72x22 (of 72x24 from 0,1), [image_newline] behind each row\n";
    assert_eq!((code, out.as_str()), (0, want));
    let capped = ["1920x1080", "--policy", "uhd", "--max-image-tokens", "600"];
    assert!(omma(&capped).1.contains("cap        at most 600 image tokens: 1014 tokens became 579"));
    let choice = &json_of(&capped)["pictures"][0]["choice"];
    assert!(choice.as_str().unwrap().contains("at most 4 tiles"), "{choice}");
}

/// A drawing of a file and a size, one below the other, 16 pixels apart: canvas, 16 pixels, overview each.
#[test]
fn drawings() {
    let png: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tiles.png");
    let _ = std::fs::remove_file(&png);
    let picture = root("tests/support/landscape.png");
    let (code, out, err) = omma(&[&picture, "672x336", "--policy", "anyres", "--png", png.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with(&picture), "{out}");
    let drawn = image::open(&png).unwrap().to_rgb8();
    assert_eq!(drawn.dimensions(), (672 + 16 + 336, 672 + 16 + 336));
    let at = |x, y| drawn.get_pixel(x, y).0;
    assert_eq!((at(0, 0), at(688, 0)), ([220, 30, 30], [30, 70, 220]), "frames of a tile and of the overview");
    assert_eq!((at(100, 40), at(200, 84)), ([0; 3], [20, 150, 40]), "padding, and the frame of what is kept");
    let sky = image::open(&picture).unwrap().to_rgb8().get_pixel(100, 100).0;
    assert_eq!(at(140, 84 + 140), sky, "the picture, 7 for 5");
    assert_eq!(at(0, 680), [245; 3], "paper between the drawings");
    let nowhere = omma(&["5x5", "--policy", "hd", "--png", &root("no/such/folder/a.png")]);
    assert_eq!(nowhere.0, 1, "{nowhere:?}");
}

/// What a checkpoint says of itself.
#[test]
fn auto_by_a_checkpoint() {
    let model = root("kernels-test/goldens/llava15_gqa");
    let plan = &json_of(&["500x300", "--model", &model])["pictures"][0];
    assert_eq!((&plan["policy"], &plan["grid"]), (&json!("none"), &json!([1, 1])));
    assert!(plan["tokens"]["total"].as_u64().unwrap() > 0);
    let (code, _, err) = omma(&["500x300", "--model", &root("no/such/folder")]);
    assert_eq!((code, err.lines().count()), (1, 1), "{err}");
}

#[test]
fn wrong_input() {
    for (arguments, code, part) in [
        (vec!["0x5", "--policy", "uhd"], 1, "0x5 pixels; each side must be 1 to"),
        (vec!["1x100000", "--policy", "native"], 1, "more than 200 times"),
        (vec!["99999999999x5", "--policy", "uhd"], 1, "too large"),
        (vec!["5x5"], 1, "--model"),
        (vec!["no-such-file.png", "--policy", "hd"], 1, "no-such-file.png"),
        (vec!["900x900", "--policy", "monkey", "--max-image-tokens", "7"], 1, "needs at least 1280"),
        (vec!["5x5", "--policy", "squares"], 2, "known: auto, none"),
        (vec!["5x5", "--policy", "uhd:max=0"], 2, "1 to 65536"),
        (vec!["5x5", "--policy", "hd", "--max-image-tokens", "0"], 2, "0"),
        (vec!["--policy", "hd"], 2, "required"),
    ] {
        let (got, out, err) = omma(&arguments);
        assert_eq!((got, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
        assert!(code == 2 || err.lines().count() == 1, "{err}");
    }
    let readme = root("README.md");
    assert_eq!(omma(&[&readme, "--policy", "hd"]).0, 1, "no picture");
    assert_eq!(omma(&["65535x65535", "--policy", "fuyu"]).0, 0);
}
