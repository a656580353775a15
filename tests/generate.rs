//! Answers against golden cases: greedy tokens, turns that keep their cache, batches, ends, sampling, cancelling.
//!
//! The cases are those of `kernels-test/goldens`; an adapter has to be there. Chat templates, stop strings, penalties
//! and padded batches against transformers are in `chat.rs`.

use omma::checkpoint::{Checkpoint, Directory, MemoryFile};
use omma::generate::{
    Answer, Finish, GenerateOptions, LoadOptions, Model, OpenModel, PictureSource, Pixels, Request, Sampling, Session,
    SessionOptions,
};
use omma::gpu::{AdapterChoice, Device, OpenOptions};
use omma::image::{Limits, Picture, Policy};
use omma::{Error, Result};
use pollster::block_on;
use std::path::PathBuf;
use std::sync::Arc;

/// A golden case on a device.
struct Case {
    folder: PathBuf,
    model: Arc<Model>,
}

fn case(name: &str) -> Case {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("kernels-test/goldens").join(name);
    let options = OpenOptions { adapter: AdapterChoice::Best, ..Default::default() };
    let device = block_on(Device::open(&options)).unwrap();
    let files = Directory::open(&folder).unwrap();
    let model = block_on(Model::load(&device, &files, OpenModel::default(), LoadOptions::default())).unwrap();
    Case { folder, model: Arc::new(model) }
}

impl Case {
    fn session(&self, batch: usize, context: usize) -> Session {
        Session::new(self.model.clone(), SessionOptions { batch, context, max_new: 64, ..Default::default() })
    }
    fn options(&self, max_new_tokens: usize) -> GenerateOptions {
        let options = GenerateOptions::of_model(self.model.files.generation.as_ref(), &Sampling::default()).unwrap();
        GenerateOptions { max_new_tokens, ..options }
    }
    fn picture(&self, name: &str) -> Pixels {
        let bytes = std::fs::read(self.folder.join(name)).unwrap();
        let picture = Picture::decode(name, &bytes, &Limits::default()).unwrap();
        self.model.pixels(PictureSource::Host(Arc::new(picture)), Policy::Auto).unwrap()
    }
    /// `generated_ids` of a sample, row after row.
    fn golden(&self, file: &str) -> Vec<u32> {
        let path = self.folder.join(file);
        let file = MemoryFile::new(file.to_owned(), std::fs::read(path).unwrap());
        let tensors = block_on(Checkpoint::of_file(Arc::new(file))).unwrap();
        block_on(tensors.load_i64("generated_ids")).unwrap().into_iter().map(|id| id as u32).collect()
    }
    fn text(&self, ids: &[u32]) -> String {
        self.model.files.need_tokenizer().unwrap().decode(ids, true).unwrap()
    }
}

fn answer(session: &mut Session, request: &Request, options: &GenerateOptions) -> Result<Answer> {
    block_on(session.answer(request, options, |_| {}))
}

const FOX: &str = "the quick brown fox jumps over";
const TWO: &str = "USER: <image>\nread the text. <image>\nwhich one has a dog? ASSISTANT:";

#[test]
fn streams_the_golden_tokens() {
    let case = case("llama_gqa");
    let mut streamed = String::new();
    let mut session = case.session(1, 64);
    let request = Request::new(Vec::new(), FOX);
    let answer = block_on(session.answer(&request, &case.options(16), |text| streamed.push_str(text))).unwrap();
    let golden = case.golden("expected.safetensors");
    assert_eq!(answer.ids, golden);
    assert_eq!(answer.text, case.text(&golden));
    assert_eq!(streamed, answer.text);
    assert_eq!((answer.finish, answer.tiles, answer.image_tokens), (Finish::Length, 0, 0));
}

#[test]
fn two_pictures_stand_where_the_prompt_has_them() {
    let case = case("llava15_gqa");
    let pictures = vec![case.picture("image_1_a.png"), case.picture("image_1_b.png")];
    let mut session = case.session(1, 256);
    let exact = Request::exact(pictures.clone(), TWO);
    let two = answer(&mut session, &exact, &case.options(16)).unwrap();
    assert_eq!(two.ids, case.golden("expected_1.safetensors"));
    assert_eq!((two.tiles, two.image_tokens), (2, 128));
    // The family's own form is that of the first sample.
    let one = Request::new(vec![case.picture("image.png")], "is there a tree?");
    session.reset();
    let one = answer(&mut session, &one, &case.options(16)).unwrap();
    assert_eq!(one.ids, case.golden("expected.safetensors"));
    // Too few and too many pictures leave the session as it is.
    let past = session.past().to_vec();
    for pictures in [pictures[..1].to_vec(), [pictures.clone(), pictures.clone()].concat()] {
        let error = answer(&mut session, &Request::exact(pictures, TWO), &case.options(4)).unwrap_err();
        assert!(error.to_string().contains("2 placeholders"), "{error}");
    }
    assert_eq!(session.past(), past);
}

#[test]
fn two_turns_equal_one_conversation() {
    let case = case("llava15_gqa");
    let options = case.options(7);
    let first = Request::new(vec![case.picture("image_1_a.png")], "read the text.");
    let second = Request::new(vec![case.picture("image_1_b.png")], "which one has a dog?");
    let mut session = case.session(1, 512);
    let one = answer(&mut session, &first, &options).unwrap();
    assert!(session.past()[0] == one.prompt_tokens + 6 || session.past()[0] == one.prompt_tokens + 7);
    let two = answer(&mut session, &second, &options).unwrap();
    assert!(two.cached_tokens >= one.prompt_tokens, "{} of {}", two.cached_tokens, one.prompt_tokens);
    // The same conversation as one prompt, in a new session.
    use omma::text::{Message, Part};
    let said = |text: &str| vec![Part::Image, Part::Text(text.into())];
    let all = Request {
        pictures: [first.pictures.clone(), second.pictures.clone()].concat(),
        ask: omma::generate::Ask::Messages(vec![
            Message::parts("user", said("read the text.")),
            Message::parts("assistant", vec![Part::Text(one.text.clone())]),
            Message::parts("user", said("which one has a dog?")),
        ]),
    };
    let whole = answer(&mut case.session(1, 512), &all, &options).unwrap();
    assert_eq!((whole.prompt_tokens, whole.cached_tokens), (two.prompt_tokens, 0));
    assert_eq!(whole.ids, two.ids);
    assert_eq!(whole.text, two.text);
}

/// Prompts that are appended as they are keep every token, that of the answer included.
#[test]
fn exact_turns_are_appended() {
    let case = case("llama_gqa");
    let options = case.options(5);
    let mut session = case.session(1, 128);
    let one = answer(&mut session, &Request::exact(Vec::new(), FOX), &options).unwrap();
    let two = answer(&mut session, &Request::exact(Vec::new(), " and"), &options).unwrap();
    assert_eq!(two.cached_tokens, one.prompt_tokens + 4, "all but the last token of the answer");
    // What goes on from the tokens is what goes on without a turn.
    let mut long = case.session(1, 128);
    let whole = answer(&mut long, &Request::exact(Vec::new(), FOX), &case.options(10)).unwrap();
    assert_eq!(whole.ids[..5], one.ids[..]);
    assert_ne!(two.prompt_tokens, one.prompt_tokens);
    session.reset();
    assert_eq!(answer(&mut session, &Request::exact(Vec::new(), FOX), &options).unwrap().ids, one.ids);
}

#[test]
fn batches_equal_single_prompts() {
    let case = case("llama_gqa");
    let prompts = [FOX, "yes", ""];
    let singles: Vec<Answer> = prompts
        .iter()
        .zip([12, 3, 9])
        .map(|(p, n)| answer(&mut case.session(1, 64), &Request::new(Vec::new(), *p), &case.options(n)).unwrap())
        .collect();
    let requests = prompts.map(|p| Request::new(Vec::new(), p));
    let options = [12, 3, 9].map(|n| case.options(n));
    let mut streamed = vec![String::new(); 3];
    let mut session = case.session(3, 160);
    let batch = block_on(session.answer_batch(&requests, &options, |b, text| streamed[b].push_str(text))).unwrap();
    for ((single, row), streamed) in singles.iter().zip(&batch).zip(&streamed) {
        assert_eq!((&single.ids, &single.text), (&row.ids, &row.text));
        assert_eq!(&row.text, streamed);
    }
    // And a second turn of the batch equals second turns alone.
    let more = block_on(session.answer_batch(&requests, &options, |_, _| {})).unwrap();
    for (b, n) in [12, 3, 9].into_iter().enumerate() {
        let mut own = case.session(1, 160);
        answer(&mut own, &requests[b], &case.options(n)).unwrap();
        assert_eq!(answer(&mut own, &requests[b], &case.options(n)).unwrap().ids, more[b].ids);
    }
    let golden = case.golden("expected_1.safetensors");
    assert_eq!(batch[0].ids[..], golden[..12]);
    assert_eq!(batch[1].ids[..], golden[16..19]);
}

#[test]
fn any_end_id_ends_an_answer() {
    let mut case = case("llama_gqa");
    let golden = case.golden("expected.safetensors");
    let ends = format!(r#"{{"eos_token_id": [2, {}, {}]}}"#, golden[9], golden[4]);
    let config = omma::checkpoint::Config::parse("generation_config.json", ends.as_bytes()).unwrap();
    Arc::get_mut(&mut case.model).unwrap().files.generation = Some(config);
    let mut session = case.session(1, 64);
    let ended = answer(&mut session, &Request::new(Vec::new(), FOX), &case.options(16)).unwrap();
    assert_eq!(ended.ids, golden[..5]);
    assert_eq!(ended.text, case.text(&golden[..4]), "the end token is not text");
    assert_eq!(ended.finish, Finish::EndToken);
    assert_eq!(session.past()[0], ended.prompt_tokens + 5, "the step in flight is taken back");
}

#[test]
fn a_stop_string_cuts_the_text() {
    let case = case("llama_gqa");
    let whole = case.text(&case.golden("expected.safetensors"));
    let stop = "gep";
    let at = whole.find(stop).unwrap();
    let options = GenerateOptions { stop: vec!["never".into(), stop.into()], logprobs: true, ..case.options(16) };
    let mut streamed = String::new();
    let mut session = case.session(1, 64);
    let request = Request::new(Vec::new(), FOX);
    let cut = block_on(session.answer(&request, &options, |text| streamed.push_str(text))).unwrap();
    assert_eq!((cut.text.as_str(), cut.finish), (&whole[..at], Finish::StopString));
    assert_eq!(streamed, cut.text);
    assert!(cut.ids.len() < 16);
    assert_eq!(cut.logprobs.len(), cut.ids.len());
    assert!(cut.logprobs.iter().all(|l| *l <= 0.0 && l.is_finite()));
}

#[test]
fn a_seed_gives_the_same_tokens_twice() {
    let case = case("llama_gqa");
    let sampled = |seed| {
        let options = GenerateOptions { temperature: 1.5, top_k: 50, seed, ..case.options(16) };
        answer(&mut case.session(1, 64), &Request::new(Vec::new(), FOX), &options).unwrap().ids
    };
    assert_eq!(sampled(7), sampled(7));
    assert_ne!(sampled(7), sampled(8));
    let penalised = GenerateOptions { repetition_penalty: 1.8, ..case.options(16) };
    let ids = answer(&mut case.session(1, 64), &Request::new(Vec::new(), "yes"), &penalised).unwrap().ids;
    assert_ne!(ids[..], case.golden("expected_1.safetensors")[16..]);
}

#[test]
fn special_tokens_of_a_user_stay_text() {
    let case = case("llava15_gqa");
    let count = |text: &str| case.model.prompt_tokens(&Request::new(vec![case.picture("image.png")], text)).unwrap();
    let (none, end, image) = (count("a b"), count("a</s> b"), count("a<image> b"));
    assert!(end > none + 1, "</s> is characters");
    assert!(image > none + 1 && image < none + 64, "no second picture");
    let written = Request::new(vec![case.picture("image.png")], "<image></s> what?");
    let mut session = case.session(1, 256);
    let answer = answer(&mut session, &written, &case.options(4)).unwrap();
    assert_eq!((answer.image_tokens, answer.ids.len()), (64, 4));
}

#[test]
fn cancelling_keeps_what_there_is() {
    let case = case("llama_gqa");
    let golden = case.golden("expected.safetensors");
    let mut session = case.session(1, 64);
    let cancel = session.cancel().clone();
    let request = Request::new(Vec::new(), FOX);
    let first = block_on(session.answer(&request, &case.options(16), |_| cancel.cancel())).unwrap();
    assert_eq!(first.finish, Finish::Cancelled);
    assert!(!first.ids.is_empty() && first.ids.len() < 16);
    assert_eq!(first.ids[..], golden[..first.ids.len()]);
    // Before the first token it is an error, after which the session goes on.
    session.reset();
    assert_eq!(answer(&mut session, &request, &case.options(16)).unwrap_err(), Error::Cancelled);
    session.cancel().reset();
    assert_eq!(answer(&mut session, &request, &case.options(16)).unwrap().ids, golden);
}

#[test]
fn errors_lose_nothing() {
    let case = case("llama_gqa");
    let request = Request::new(Vec::new(), FOX);
    let next = Request::new(Vec::new(), " and then");
    let options = case.options(4);
    let mut plain = case.session(1, 64);
    answer(&mut plain, &request, &options).unwrap();
    let expected = answer(&mut plain, &next, &options).unwrap();
    let mut session = case.session(1, 64);
    answer(&mut session, &request, &options).unwrap();
    let long = Request::new(Vec::new(), "over and ".repeat(40));
    let error = answer(&mut session, &long, &options).unwrap_err();
    assert!(matches!(error, Error::PromptTooLong { context: 64, .. }), "{error}");
    // Out of memory in the middle of a turn, too.
    let ledger = case.model.device.ledger().clone();
    ledger.fail_after(Some(0));
    let other = Request::new(Vec::new(), " and a longer turn");
    assert!(matches!(answer(&mut session, &other, &options).unwrap_err(), Error::OutOfMemory { .. }));
    ledger.fail_after(None);
    assert_eq!(answer(&mut session, &next, &options).unwrap().ids, expected.ids);
}

/// An answer may fill the context to the last place.
#[test]
fn the_context_ends_an_answer() {
    let case = case("llama_gqa");
    let request = Request::new(Vec::new(), FOX);
    let prompt = case.model.prompt_tokens(&request).unwrap();
    let mut session = case.session(1, prompt + 3);
    let ended = answer(&mut session, &request, &case.options(16)).unwrap();
    assert_eq!(ended.ids[..], case.golden("expected.safetensors")[..4]);
    assert_eq!(ended.finish, Finish::Length);
}

#[test]
fn sessions_share_a_model() {
    let case = case("llama_gqa");
    let golden = case.golden("expected.safetensors");
    let request = Request::new(Vec::new(), FOX);
    let (mut a, mut b) = (case.session(1, 64), case.session(1, 64));
    answer(&mut b, &Request::new(Vec::new(), "yes"), &case.options(3)).unwrap();
    assert_eq!(answer(&mut a, &request, &case.options(16)).unwrap().ids, golden);
    b.reset();
    assert_eq!(answer(&mut b, &request, &case.options(16)).unwrap().ids, golden);
}
