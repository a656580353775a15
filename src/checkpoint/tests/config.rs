//! Getters of configurations: paths, defaults, `null`, bounds, and what the errors say.

use serde_json::Value;

use super::*;
use crate::Error;

const TEXT: &str = r#"{"a": 3, "zero": null, "big": 1000000000000000019884624838656, "neg": -1, "half": 0.5, "e": 1e3,
  "flag": true, "name": "clip", "inner": {"width": 64, "names": ["x", "y"], "mixed": [1, "2"], "deep": {"n": 7}},
  "eos": 2, "ends": [2, 5], "nothing": {"a": null}}"#;

fn config() -> Config {
    Config::parse("dir/config.json", TEXT.as_bytes()).unwrap()
}

#[test]
fn values_defaults_and_null() {
    let c = config();
    assert_eq!(c.usize("a", 1).unwrap(), 3);
    assert_eq!(c.usize("inner.width", 1).unwrap(), 64);
    assert_eq!(c.usize("inner.deep.n", 1).unwrap(), 7);
    assert_eq!(c.usize("e", 1).unwrap(), 1000);
    for absent in ["b", "zero", "zero.x", "inner.none.n", "nothing.a", "nothing.a.b"] {
        assert_eq!(c.usize(absent, 9).unwrap(), 9, "{absent}");
        assert_eq!(c.optional::<f64>(absent).unwrap(), None, "{absent}");
        assert!(!c.has(absent), "{absent}");
        assert_eq!(c.list::<f64>(absent).unwrap(), None, "{absent}");
    }
    assert_eq!(c.f64("half", 1.0).unwrap(), 0.5);
    assert_eq!(c.f64("a", 1.0).unwrap(), 3.0);
    assert_eq!(c.f64("big", 1.0).unwrap(), 1e30);
    assert!(c.bool("flag", false).unwrap());
    assert_eq!(c.string("name", "x").unwrap(), "clip");
    assert_eq!(c.get::<i64>("neg", 0).unwrap(), -1);
    assert_eq!(c.require::<Value>("neg").unwrap(), Value::from(-1));
    assert_eq!(c.list::<String>("inner.names").unwrap().unwrap(), ["x", "y"]);
    assert_eq!(c.one_or_list::<usize>("eos").unwrap(), [2]);
    assert_eq!(c.one_or_list::<usize>("ends").unwrap(), [2, 5]);
    assert_eq!(c.one_or_list::<usize>("zero").unwrap(), [0; 0]);
    let inner = c.section("inner").unwrap().unwrap();
    assert_eq!(inner.usize("width", 0).unwrap(), 64);
    assert!(c.section("zero").unwrap().is_none());
}

#[test]
fn errors_name_file_and_path() {
    let c = config();
    let says = |result: crate::Result<usize>, wanted: &str| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }));
        let text = error.to_string();
        assert!(text.starts_with("dir/config.json: malformed: ") && text.contains(wanted), "{text}");
    };
    says(c.usize("neg", 0), "neg should be a whole number from 0 to 2147483647, found -1");
    says(c.usize("half", 0), "half should be");
    says(c.usize("big", 0), "big should be");
    says(c.usize("name", 0), "found \"clip\"");
    says(c.usize("inner", 0), "found an object");
    says(c.usize("name.x", 0), "name should be an object, found \"clip\"");
    says(c.require("zero"), "zero is missing");
    says(c.list::<usize>("inner.mixed").map(|_| 0), "inner.mixed[1] should be");
    says(c.list::<usize>("a").map(|_| 0), "a should be a list, found 3");
    let inner = c.section("inner").unwrap().unwrap();
    says(inner.usize("names", 0), "inner.names should be");
    let deep = inner.section("deep").unwrap().unwrap();
    says(deep.require("m"), "inner.deep.m is missing");
    let text = inner.unsupported("width", "use 32").to_string();
    assert_eq!(text, "dir/config.json: inner.width = 64 is not supported: use 32");
}

#[test]
fn broken_and_deep_files() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(crate::checkpoint::config::MAX_CONFIG));
    for text in ["", "{", "[1]", "3", "{\"a\": NaN}", "{\"a\":1}}", &deep, &long] {
        let error = Config::parse("c", text.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    let files = MemoryFiles::new("made").with("config.json", b"{\"a\":1}".to_vec());
    assert!(wait(Config::load(&files, "other.json")).unwrap().is_none());
    assert_eq!(wait(Config::need(&files, "config.json")).unwrap().file(), "made/config.json");
    assert!(wait(Config::need(&files, "other.json")).unwrap_err().to_string().contains("made/other.json"));
}

#[test]
fn errors_are_one_line_whatever_a_text_holds() {
    let c = Config::parse("c.json", br#"{"format": "a\nb"}"#).unwrap();
    let text = c.string("format", "").unwrap();
    for error in [c.unsupported("format", format!("`{text}` is not")), c.broken("format", format!("is `{text}`"))] {
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}
