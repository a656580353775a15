//! Chat templates: our own templates in the forms of well-known ones, against what transformers renders.

use serde_json::{Map, Value as Json, json};

use crate::error::Error;
use crate::text::{ChatTemplate, CivilTime, Content, Message, Part, RenderOptions, TemplateSources};

/// Texts of transformers' renderer for templates and conversations written for this test; says how it was made.
const RENDERINGS: &str = include_str!("renderings.json");

const NOW: CivilTime = CivilTime { year: 2026, month: 11, day: 5, hour: 15, minute: 4, second: 9 };

pub fn template(source: &str, special_tokens: &Json) -> ChatTemplate {
    let config = serde_json::to_vec(special_tokens).unwrap();
    let sources =
        TemplateSources { jinja: Some(source.as_bytes()), tokenizer_config: Some(&config), ..Default::default() };
    ChatTemplate::from_bytes(sources).unwrap().unwrap()
}

fn message(json: &Json) -> Message {
    let mut extra = json.as_object().unwrap().clone();
    let role = extra.shift_remove("role").unwrap().as_str().unwrap().to_owned();
    let content = match extra.shift_remove("content").unwrap_or_default() {
        Json::String(text) => Content::Text(text),
        Json::Array(parts) => Content::Parts(parts.iter().map(part).collect()),
        Json::Null => Content::None,
        other => {
            extra.insert("content".into(), other);
            Content::None
        }
    };
    Message { role, content, extra }
}

fn part(json: &Json) -> Part {
    match json["type"].as_str().unwrap() {
        "image" => Part::Image,
        "text" => Part::Text(json["text"].as_str().unwrap().to_owned()),
        _ => Part::Other(json.as_object().unwrap().clone()),
    }
}

fn text_messages(text: &str) -> Vec<Message> {
    vec![Message::text("user", text)]
}

#[test]
fn texts_equal_those_of_transformers() {
    let file: Json = serde_json::from_str(RENDERINGS).unwrap();
    for row in file["renderings"].as_array().unwrap() {
        let name = row["template"].as_str().unwrap();
        let template = template(file["templates"][name].as_str().unwrap(), &file["special_tokens"]);
        let messages: Vec<Message> = row["messages"].as_array().unwrap().iter().map(message).collect();
        let options = RenderOptions {
            add_generation_prompt: row["add_generation_prompt"].as_bool().unwrap(),
            tools: row["tools"].as_array().cloned(),
            variables: row["variables"].as_object().unwrap().clone(),
            now: Some(NOW),
            ..Default::default()
        };
        match (template.render(&messages, &options), row["text"].as_str()) {
            (Ok(text), Some(want)) => {
                let lines = text.lines().zip(want.lines()).find(|(a, b)| a != b);
                assert_eq!(lines, None, "{name}: first line that differs");
                assert_eq!(text, want, "{name}");
            }
            (Err(Error::Template { reason }), None) => {
                // Python's own errors are worded differently; a template's words are its own.
                let want = row["error"].as_str().unwrap();
                assert!(reason == want || want.contains("has no element"), "{name}: {reason}, not {want}");
            }
            (got, want) => panic!("{name}: {got:?}, not {want:?}"),
        }
    }
}

#[test]
fn templates_are_found_in_all_their_places() {
    let render = |sources: TemplateSources<'_>, options: &RenderOptions| {
        ChatTemplate::from_bytes(sources).unwrap().unwrap().render(&text_messages("x"), options)
    };
    let plain = RenderOptions::default();
    let config = br#"{"chat_template": "config {{ bos_token }}", "bos_token": {"content": "<b>"}}"#;
    let sources = TemplateSources { tokenizer_config: Some(config), ..Default::default() };
    assert_eq!(render(sources, &plain).unwrap(), "config <b>");
    let sources = TemplateSources { json: Some(br#"{"chat_template": "json {{ bos_token }}"}"#), ..sources };
    assert_eq!(render(sources, &plain).unwrap(), "json <b>");
    let sources = TemplateSources { jinja: Some(b"jinja {{ bos_token }}\n"), ..sources };
    assert_eq!(render(sources, &plain).unwrap(), "jinja <b>");

    let named = br#"{"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"},
        {"name": "rag", "template": "r"}]}"#;
    let sources = TemplateSources { tokenizer_config: Some(named), ..Default::default() };
    assert_eq!(render(sources, &plain).unwrap(), "d");
    assert_eq!(render(sources, &RenderOptions { tools: Some(vec![]), ..Default::default() }).unwrap(), "t");
    assert_eq!(render(sources, &RenderOptions { template: Some("rag".into()), ..Default::default() }).unwrap(), "r");
    let error = render(sources, &RenderOptions { template: Some("nope".into()), ..Default::default() }).unwrap_err();
    assert!(error.to_string().contains("default, tool_use, rag"), "{error}");

    let none = TemplateSources { tokenizer_config: Some(b"{}"), ..Default::default() };
    assert!(ChatTemplate::from_bytes(none).unwrap().is_none());
    for bad in [&b"["[..], br#"{"chat_template": 3}"#, br#"{"chat_template": [{"name": "x"}]}"#] {
        let sources = TemplateSources { json: Some(bad), ..Default::default() };
        assert!(matches!(ChatTemplate::from_bytes(sources), Err(Error::Malformed { .. })));
    }
}

#[test]
fn what_cannot_be_run_is_an_error() {
    let fails = |source: &str| match template(source, &json!({})).render(&text_messages("x"), &RenderOptions::default())
    {
        Err(Error::Template { reason }) => reason,
        other => panic!("{source}: {other:?}"),
    };
    assert_eq!(fails("{{ raise_exception('no: 1 + 1') }}"), "no: 1 + 1");
    assert!(fails("{% for %}").contains("syntax error"));
    for source in [
        "{{ x.y }}",
        "{{ x() }}",
        "{{ 'a'.nothing() }}",
        "{{ 'a' | nothing }}",
        "{{ '<' | escape }}",
        "{% include 'x' %}",
        "{{ 'a' + 1 }}",
        "{{ nope | tojson }}",
        "{{ 1 / 0 }}",
        "{{ strftime_now('%Q') }}",
        "{{ 'a'.split('') }}",
        "{% nonsense %}",
        "{% generation %}",
    ] {
        fails(source);
    }
    assert!(fails("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}").contains("end"));
    fails("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}");
    fails("{% set x = messages[0].content * 1000000 %}{% for i in range(99999) %}{{ x }}{% endfor %}");
    fails(&"{% if true %}".repeat(5000));
}

#[test]
fn generation_blocks_are_scopes_without_effect() {
    let source = "{% set a = 1 %}{%- generation -%} {% set a = 2 %}{{ a }} {%- endgeneration %}{{ a }}{% set generation = 3 %}{{ generation }}";
    assert_eq!(template(source, &json!({})).render(&[], &RenderOptions::default()).unwrap(), "213");
}

#[test]
fn dates_are_those_of_the_calendar() {
    let time = |seconds: u64| CivilTime::from_unix(seconds);
    assert_eq!(time(0), CivilTime { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0 });
    assert_eq!(time(951_827_696), CivilTime { year: 2000, month: 2, day: 29, hour: 12, minute: 34, second: 56 });
    assert_eq!(time(4_107_542_399).month, 2, "2100 is no leap year");
    assert_eq!(time(4_107_542_400), CivilTime { year: 2100, month: 3, day: 1, hour: 0, minute: 0, second: 0 });
    let source = "{{ strftime_now('%A %a %-d %B %b %j %I%p %H:%M:%S %y%% %F') }}";
    let options = RenderOptions { now: Some(NOW), ..Default::default() };
    let text = template(source, &json!({})).render(&[], &options).unwrap();
    assert_eq!(text, "Thursday Thu 5 November Nov 309 03PM 15:04:09 26% 2026-11-05");
    let default = template("{{ strftime_now('%Y') }}", &json!({})).render(&[], &RenderOptions::default()).unwrap();
    assert!(default.parse::<i32>().unwrap() >= 2025);
    let odd = CivilTime { year: i32::MIN, month: 0, day: 255, hour: 255, minute: 255, second: 255 };
    let options = RenderOptions { now: Some(odd), ..Default::default() };
    template(source, &json!({})).render(&[], &options).unwrap();
}

#[test]
fn variables_reach_the_template() {
    let mut variables = Map::new();
    variables.insert("name".into(), json!({"b": [1, 2], "a": null}));
    let options = RenderOptions { variables, documents: Some(vec![json!("doc")]), ..Default::default() };
    let text = template("{{ name | tojson }}{{ documents[0] }}{{ tools }}", &json!({})).render(&[], &options).unwrap();
    assert_eq!(text, r#"{"b": [1, 2], "a": null}docNone"#);
}
