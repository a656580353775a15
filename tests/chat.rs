//! Conversations with a small Qwen2 and its chat template, against what transformers answered
//! (`kernels-test/goldens/make_chat.py`): turns, stop strings, penalties, end ids, log-probabilities, a padded batch.

use omma::checkpoint::{Config, Directory};
use omma::generate::{
    Answer, Ask, Finish, GenerateOptions, LoadOptions, Model, OpenModel, Request, Sampling, Session, SessionOptions,
};
use omma::gpu::{Device, OpenOptions};
use omma::text::{Message, Part};
use pollster::block_on;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;

/// A log-probability of f32 logits, against that of f64 over other f32 logits.
const TOLERANCE: f64 = 2e-3;

#[derive(Deserialize)]
struct Chat {
    max_new_tokens: usize,
    conversations: Vec<Conversation>,
    stops: Vec<Row>,
    penalties: Vec<Row>,
    ends: Row,
    batch: Vec<Row>,
}

#[derive(Deserialize)]
struct Conversation {
    system: Option<String>,
    turns: Vec<Row>,
}

/// What transformers answered to a user's turn.
#[derive(Deserialize)]
struct Row {
    user: String,
    prompt_ids: Vec<u32>,
    ids: Vec<u32>,
    text: String,
    logprobs: Vec<f64>,
    #[serde(default)]
    stop: Vec<String>,
    #[serde(default)]
    cut: String,
    #[serde(default)]
    repetition_penalty: Option<f32>,
    #[serde(default)]
    eos_token_id: Vec<u32>,
}

struct Case {
    chat: Chat,
    model: Arc<Model>,
}

fn case() -> Case {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("kernels-test/goldens/qwen2_chat");
    let chat = serde_json::from_slice(&std::fs::read(folder.join("chat.json")).unwrap()).unwrap();
    let device = block_on(Device::open(&OpenOptions::default())).unwrap();
    let files = Directory::open(&folder).unwrap();
    let model = block_on(Model::load(&device, &files, OpenModel::default(), LoadOptions::default())).unwrap();
    Case { chat, model: Arc::new(model) }
}

impl Case {
    fn session(&self, batch: usize) -> Session {
        let max_new = self.chat.max_new_tokens;
        Session::new(self.model.clone(), SessionOptions { batch, context: 512, max_new, ..Default::default() })
    }
    fn options(&self) -> GenerateOptions {
        let options = GenerateOptions::of_model(self.model.files.generation.as_ref(), &Sampling::default()).unwrap();
        GenerateOptions { max_new_tokens: self.chat.max_new_tokens, logprobs: true, ..options }
    }
    /// The answer of a new session.
    fn answer(&self, row: &Row, options: &GenerateOptions) -> Answer {
        turn(&mut self.session(1), Request::new(Vec::new(), row.user.as_str()), options)
    }
}

/// An answer, whose streamed pieces are its text.
fn turn(session: &mut Session, request: Request, options: &GenerateOptions) -> Answer {
    let mut streamed = String::new();
    let answer = block_on(session.answer(&request, options, |text| streamed.push_str(text))).unwrap();
    assert_eq!(streamed, answer.text);
    answer
}

fn check(row: &Row, answer: &Answer) {
    assert_eq!(answer.prompt_tokens, row.prompt_ids.len(), "{}", row.user);
    assert_eq!(answer.ids, row.ids, "{}", row.user);
    for (step, (got, want)) in answer.logprobs.iter().zip(&row.logprobs).enumerate() {
        assert!((f64::from(*got) - want).abs() <= TOLERANCE, "{}, token {step}: {got}, not {want}", row.user);
    }
    assert_eq!(answer.logprobs.len(), row.logprobs.len());
}

#[test]
fn turns_are_those_of_the_template() {
    let case = case();
    for conversation in &case.chat.conversations {
        let mut session = case.session(1);
        let mut cached = 0;
        for (at, row) in conversation.turns.iter().enumerate() {
            let mut messages = vec![Message::parts("user", vec![Part::Text(row.user.clone())])];
            if let (0, Some(system)) = (at, &conversation.system) {
                messages.insert(0, Message::text("system", system.as_str()));
            }
            let request = Request { pictures: Vec::new(), ask: Ask::Messages(messages) };
            let answer = turn(&mut session, request, &case.options());
            check(row, &answer);
            assert_eq!(answer.text, row.text);
            // Later turns read the earlier prompt at least from the cache.
            assert!(answer.cached_tokens >= cached, "{} of {cached}", answer.cached_tokens);
            cached = answer.prompt_tokens - 3;
        }
    }
}

#[test]
fn stop_strings_end_where_transformers_ends() {
    let case = case();
    for row in &case.chat.stops {
        let answer = case.answer(row, &GenerateOptions { stop: row.stop.clone(), ..case.options() });
        check(row, &answer);
        assert_eq!((answer.text.as_str(), answer.finish), (row.cut.as_str(), Finish::StopString));
    }
}

#[test]
fn penalties_count_prompt_and_answer() {
    let case = case();
    for row in &case.chat.penalties {
        let repetition_penalty = row.repetition_penalty.unwrap();
        check(row, &case.answer(row, &GenerateOptions { repetition_penalty, ..case.options() }));
    }
    // The same by the checkpoint's own settings.
    let row = case.chat.penalties.last().unwrap();
    let said = format!(r#"{{"eos_token_id": [2, 0], "repetition_penalty": {}}}"#, row.repetition_penalty.unwrap());
    let config = Config::parse("generation_config.json", said.as_bytes()).unwrap();
    let options = GenerateOptions::of_model(Some(&config), &Sampling::default()).unwrap();
    check(row, &case.answer(row, &GenerateOptions { max_new_tokens: row.ids.len(), logprobs: true, ..options }));
}

#[test]
fn the_first_of_several_end_ids_ends() {
    let mut case = case();
    let said = serde_json::json!({ "eos_token_id": case.chat.ends.eos_token_id }).to_string();
    let config = Config::parse("generation_config.json", said.as_bytes()).unwrap();
    Arc::get_mut(&mut case.model).unwrap().files.generation = Some(config);
    let answer = case.answer(&case.chat.ends, &case.options());
    check(&case.chat.ends, &answer);
    assert_eq!(answer.finish, Finish::EndToken);
}

#[test]
fn a_padded_batch_answers_as_one_by_one() {
    let case = case();
    let rows = &case.chat.batch;
    let requests: Vec<Request> = rows.iter().map(|row| Request::new(Vec::new(), row.user.as_str())).collect();
    let options = vec![case.options(); rows.len()];
    let answers = block_on(case.session(rows.len()).answer_batch(&requests, &options, |_, _| {})).unwrap();
    for (row, answer) in rows.iter().zip(&answers) {
        check(row, answer);
        assert_eq!(answer.text, row.text);
    }
}

/// The template's own error is the caller's, and the session goes on.
#[test]
fn a_role_that_the_template_refuses_is_an_error() {
    let case = case();
    let mut session = case.session(1);
    let robot = Ask::Messages(vec![Message::text("robot", "beep")]);
    let refused = Request { pictures: Vec::new(), ask: robot };
    let error = block_on(session.answer(&refused, &case.options(), |_| {})).unwrap_err();
    assert!(error.to_string().contains("unknown role robot"), "{error}");
    let row = &case.chat.conversations[0].turns[0];
    check(row, &turn(&mut session, Request::new(Vec::new(), row.user.as_str()), &case.options()));
}
