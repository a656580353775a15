//! Answers: a session's turns from request to text.
//!
//! Here: encoding pictures, prefill of what the cache lacks, decoding with one step in flight ahead of reading, the
//! ends of an answer (end ids, stop strings, limits, cancelling), streaming text. Not here: writing the prompt
//! (`prompt`), sampling settings (`settings`), the programs (`session`).

use super::pictures::Pixels;
use super::prompt::{History, Tokens};
use super::{Ask, GenerateOptions, Request, Sequence, Session, Step};
use crate::text::{DecodeStream, Message};
use crate::{Error, Result};

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// An end token.
    EndToken,
    /// A stop string.
    StopString,
    /// The limit of new tokens, or the end of the context.
    Length,
    /// The caller cancelled; the text is what there was.
    Cancelled,
}

/// Milliseconds of wall time by stage; zeros on the web, where there is no clock without the page.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timings {
    /// Pictures to planes.
    pub preprocess: f64,
    /// Planes to features.
    pub encode: f64,
    /// Prompt to first token.
    pub prefill: f64,
    /// Further tokens.
    pub decode: f64,
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Text without special tokens, cut before a stop string.
    pub text: String,
    /// New ids, the end token included.
    pub ids: Vec<u32>,
    /// Log-probability of every id under the raw logits, if asked for.
    pub logprobs: Vec<f32>,
    /// Rows of pictures in this turn's prompt.
    pub image_tokens: usize,
    /// Tower inputs of this turn: pictures, or their tiles.
    pub tiles: usize,
    /// Tokens of the whole prompt, earlier turns included.
    pub prompt_tokens: usize,
    /// Of these, tokens that the cache held already.
    pub cached_tokens: usize,
    /// Times, those of the whole batch.
    pub ms: Timings,
    /// Tokens per second of decoding, of this sequence; 0 for a single token.
    pub tokens_per_s: f64,
    /// Why it ended.
    pub finish: Finish,
}

/// Wall time between stages.
struct Watch {
    #[cfg(not(target_arch = "wasm32"))]
    start: std::time::Instant,
}

impl Watch {
    fn start() -> Self {
        Self {
            #[cfg(not(target_arch = "wasm32"))]
            start: std::time::Instant::now(),
        }
    }
    /// Milliseconds since the last lap.
    fn lap(&mut self) -> f64 {
        #[cfg(not(target_arch = "wasm32"))]
        {
            let now = std::time::Instant::now();
            let ms = now.duration_since(self.start).as_secs_f64() * 1e3;
            self.start = now;
            ms
        }
        #[cfg(target_arch = "wasm32")]
        0.0
    }
}

/// Holds text back while it may still become a stop string.
#[derive(Debug, Default)]
struct StopFilter {
    stop: Vec<String>,
    held: String,
}

impl StopFilter {
    /// Takes text; returns what is certain, and whether a stop string ended the answer. Of several stop strings that
    /// are complete, the one that ends first counts, so that the pieces in which text arrives do not matter.
    fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        let hits = self.stop.iter().filter_map(|s| self.held.find(s.as_str()).map(|at| (at + s.len(), at)));
        if let Some((_, at)) = hits.min() {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let borders = self.held.char_indices().map(|(at, _)| at);
        let from = borders.into_iter().find(|at| self.stop.iter().any(|s| s.starts_with(&self.held[*at..])));
        let rest = self.held.split_off(from.unwrap_or(self.held.len()));
        (std::mem::replace(&mut self.held, rest), false)
    }
    /// What was held back at the end of the answer.
    fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// One sequence while it is answered.
struct Row {
    tokens: Tokens,
    kept: usize,
    stream: DecodeStream,
    filter: StopFilter,
    limit: usize,
    text: String,
    ids: Vec<u32>,
    logprobs: Vec<f32>,
    finish: Option<Finish>,
    decode_ms: f64,
}

impl Row {
    /// Takes a chosen token; `emit` gets the text that became certain.
    fn take(&mut self, id: u32, logprob: f32, ends: &[u32], emit: &mut dyn FnMut(&str)) -> Result<()> {
        self.ids.push(id);
        self.logprobs.push(logprob);
        if ends.contains(&id) {
            return self.end(Finish::EndToken, emit);
        }
        if let Some(text) = self.stream.push(id)? {
            self.emit(&text, emit);
        }
        if self.finish.is_none() && self.ids.len() >= self.limit {
            return self.end(Finish::Length, emit);
        }
        Ok(())
    }
    fn emit(&mut self, text: &str, emit: &mut dyn FnMut(&str)) {
        let (certain, stopped) = self.filter.push(text);
        if stopped {
            self.finish = Some(Finish::StopString);
        }
        self.say(&certain, emit);
    }
    fn say(&mut self, text: &str, emit: &mut dyn FnMut(&str)) {
        if !text.is_empty() {
            self.text.push_str(text);
            emit(text);
        }
    }
    /// Gives out the text that was held back; a stop string may be in it.
    fn end(&mut self, finish: Finish, emit: &mut dyn FnMut(&str)) -> Result<()> {
        let text = self.stream.finish()?;
        self.emit(&text, emit);
        if self.finish.is_none() {
            let rest = self.filter.finish();
            self.say(&rest, emit);
            self.finish = Some(finish);
        }
        Ok(())
    }
    fn answer(&mut self, ms: Timings, logprobs: bool, tiles: usize, image_tokens: usize) -> Answer {
        let steps = self.ids.len().saturating_sub(1) as f64;
        Answer {
            text: std::mem::take(&mut self.text),
            ids: std::mem::take(&mut self.ids),
            logprobs: if logprobs { std::mem::take(&mut self.logprobs) } else { Vec::new() },
            image_tokens,
            tiles,
            prompt_tokens: self.tokens.ids.len(),
            cached_tokens: self.kept,
            ms,
            tokens_per_s: if self.decode_ms > 0.0 { steps * 1e3 / self.decode_ms } else { 0.0 },
            finish: self.finish.unwrap_or(Finish::Cancelled),
        }
    }
}

impl Session {
    /// Answers one turn in a session of one sequence; see [`Session::answer_batch`]. `on_text` gets the text as it
    /// becomes certain; put together it is [`Answer::text`].
    pub async fn answer(
        &mut self,
        request: &Request,
        options: &GenerateOptions,
        mut on_text: impl FnMut(&str),
    ) -> Result<Answer> {
        let list = std::slice::from_ref(request);
        let answers = self.answer_batch(list, std::slice::from_ref(options), |_, text| on_text(text)).await?;
        answers.into_iter().next().ok_or_else(|| Error::graph("answer", "there is none"))
    }

    /// Answers the next turn of every sequence, each stopped separately; `on_text` gets the sequence and its text.
    /// `options` holds one entry for each, or one for all. Earlier turns count: what their tokens and the new prompt's
    /// have in common stays in the cache. Cancelled while decoding, the answers hold what there is.
    ///
    /// # Errors
    /// [`Error::PromptTooLong`], [`Error::InvalidArgument`] for pictures that do not fit the placeholders or settings
    /// out of range, [`Error::Cancelled`] before the first token, and what the device reports. The session is then
    /// as before the call: earlier turns are kept.
    pub async fn answer_batch(
        &mut self,
        requests: &[Request],
        options: &[GenerateOptions],
        mut on_text: impl FnMut(usize, &str),
    ) -> Result<Vec<Answer>> {
        self.settle().await?;
        let mut rows = self.rows(requests, options)?;
        let before: Vec<History> = self.histories.clone();
        for (b, row) in rows.iter().enumerate() {
            self.truncate(b, row.kept);
        }
        let result = self.answer_rows(&mut rows, requests, options, &mut on_text).await;
        let settled = self.settle().await;
        if let Err(error) = result.as_ref().map(|_| ()).and(settled.as_ref().copied()) {
            let error = error.clone();
            for (b, mut history) in before.into_iter().enumerate() {
                // The cache holds the common prefix; the rest is run again with the next turn.
                let tail = history.ids.split_off(rows[b].kept.min(history.ids.len()));
                history.rest.splice(0..0, tail);
                self.truncate(b, history.ids.len());
                self.histories[b] = history;
            }
            return Err(error);
        }
        result
    }

    /// The sequences, checked before anything is changed.
    fn rows(&self, requests: &[Request], options: &[GenerateOptions]) -> Result<Vec<Row>> {
        let sizes = self.options().clone();
        if requests.len() != sizes.batch || !(options.len() == sizes.batch || options.len() == 1) {
            let reason = format!("{} with {} options for a session of {}", requests.len(), options.len(), sizes.batch);
            return Err(Error::argument("requests", reason));
        }
        let model = self.model().clone();
        let mut rows = Vec::new();
        for (b, request) in requests.iter().enumerate() {
            let history = &self.histories[b];
            if history.ids.len() != self.past()[b] {
                let reason = "holds tokens that were put in by prefill; reset it first";
                return Err(Error::argument("session", reason));
            }
            let own = &options[b.min(options.len() - 1)];
            own.settings()?;
            if own.max_new_tokens > sizes.max_new {
                let reason = format!("{} for a session of {}", own.max_new_tokens, sizes.max_new);
                return Err(Error::argument("max_new_tokens", reason));
            }
            let tokens = model.conversation(history, request)?;
            if tokens.ids.len() > sizes.context {
                return Err(Error::PromptTooLong { tokens: tokens.ids.len(), context: sizes.context });
            }
            rows.push(Row {
                kept: tokens.kept(&history.ids, model.spec.decoder.as_ref()),
                stream: model.files.need_tokenizer()?.decode_stream(true),
                filter: StopFilter { stop: own.stop.clone(), held: String::new() },
                // The last token needs no place in the cache.
                limit: own.max_new_tokens.min(sizes.context - tokens.ids.len() + 1),
                tokens,
                text: String::new(),
                ids: Vec::new(),
                logprobs: Vec::new(),
                finish: None,
                decode_ms: 0.0,
            });
        }
        // New features beside the prompts take the place of all that the session holds.
        let beside = model.spec.decoder.as_ref().is_some_and(|decoder| decoder.cross.is_some());
        if beside && rows.iter().any(|row| row.tokens.pictures.iter().any(|p| p.first >= row.kept)) {
            rows.iter_mut().for_each(|row| row.kept = 0);
        }
        // Keys are turned by the frequencies of a prompt's length; where those change, what is in the cache is of no use.
        let longest = rows.iter().map(|row| row.tokens.ids.len()).max().unwrap_or(0);
        if self.turned_otherwise(longest) {
            rows.iter_mut().for_each(|row| row.kept = 0);
        }
        Ok(rows)
    }

    async fn answer_rows(
        &mut self,
        rows: &mut [Row],
        requests: &[Request],
        options: &[GenerateOptions],
        on_text: &mut dyn FnMut(usize, &str),
    ) -> Result<Vec<Answer>> {
        let ends = self.model().files.eos(&self.model().spec)?;
        let mut watch = Watch::start();
        let mut ms = Timings::default();
        self.prompt(rows, requests, options, &mut watch, &mut ms).await?;
        let first = self.chosen(false).await?;
        ms.prefill = watch.lap();
        take(rows, &first, &ends, on_text)?;
        let steps = self.decode_rows(rows, &ends, &mut watch, &mut ms, on_text).await?;
        let mut answers = Vec::new();
        for (b, row) in rows.iter_mut().enumerate() {
            self.remember(b, row, &requests[b], steps);
            let new = &requests[b].pictures;
            let image_tokens = new.iter().map(|p| self.model().picture_rows(p)).sum();
            let logprobs = options[b.min(options.len() - 1)].logprobs;
            let tiles = new.iter().map(|p| p.inputs.len()).sum();
            answers.push(row.answer(ms, logprobs, tiles, image_tokens));
        }
        Ok(answers)
    }

    /// Pictures and prompt.
    async fn prompt(
        &mut self,
        rows: &[Row],
        requests: &[Request],
        options: &[GenerateOptions],
        watch: &mut Watch,
        ms: &mut Timings,
    ) -> Result<()> {
        let (mut sequences, mut pictures): (Vec<Sequence>, Vec<Pixels>) = Default::default();
        for (b, row) in rows.iter().enumerate() {
            let (sequence, before) = row.tokens.after(row.kept, self.model().spec.decoder.as_ref());
            let all = self.histories[b].pictures.iter().chain(&requests[b].pictures);
            pictures.extend(all.skip(before).cloned());
            sequences.push(sequence);
        }
        if !pictures.is_empty() {
            self.encode_pictures(&pictures, &mut |planes| {
                *(if planes { &mut ms.preprocess } else { &mut ms.encode }) = watch.lap();
            })
            .await?;
        }
        let settings = (0..rows.len()).map(|b| options[b.min(options.len() - 1)].settings());
        let settings = settings.collect::<Result<Vec<_>>>()?;
        let seen: Vec<Vec<u32>> = rows.iter().map(|row| row.tokens.ids.clone()).collect();
        self.prefill(&sequences, &settings, &seen, false, &|_| false).await?;
        Ok(())
    }

    /// Steps until every sequence has ended, one of them ahead of reading; returns how many were submitted.
    async fn decode_rows(
        &mut self,
        rows: &mut [Row],
        ends: &[u32],
        watch: &mut Watch,
        ms: &mut Timings,
        on_text: &mut dyn FnMut(usize, &str),
    ) -> Result<usize> {
        let longest = rows.iter().filter(|r| r.finish.is_none()).map(|r| r.limit).max().unwrap_or(0);
        let mut submitted = 0;
        while rows.iter().any(|r| r.finish.is_none()) {
            while self.in_flight() < 2 && submitted + 1 < longest {
                match self.decode().await {
                    Err(Error::Cancelled) => {
                        for (b, row) in rows.iter_mut().enumerate().filter(|(_, r)| r.finish.is_none()) {
                            row.end(Finish::Cancelled, &mut |text| on_text(b, text))?;
                        }
                        return Ok(submitted);
                    }
                    result => result?,
                }
                submitted += 1;
            }
            let Some(step) = self.arrived().await? else { break };
            ms.decode += watch.lap();
            for row in rows.iter_mut().filter(|r| r.finish.is_none()) {
                row.decode_ms = ms.decode;
            }
            take(rows, &step, ends, on_text)?;
        }
        Ok(submitted)
    }

    /// Notes a turn, and takes tokens behind the end of the answer out of the cache again.
    fn remember(&mut self, b: usize, row: &Row, request: &Request, steps: usize) {
        let room = self.options().context - row.tokens.ids.len();
        let fed = steps.min(row.ids.len()).min(room);
        let history = &mut self.histories[b];
        let begun = history.begun();
        history.ids.clone_from(&row.tokens.ids);
        history.ids.extend(&row.ids[..fed]);
        history.rest = row.ids[fed..].to_vec();
        history.pictures.extend(request.pictures.iter().cloned());
        history.placed.clone_from(&row.tokens.pictures);
        match &request.ask {
            Ask::Messages(new) if !begun || !history.messages.is_empty() => {
                history.messages.extend(new.iter().cloned());
                history.messages.push(assistant(&row.text, new));
            }
            // From here on turns are appended to the tokens.
            _ => history.messages.clear(),
        }
        let past = history.ids.len();
        self.truncate(b, past);
    }
}

/// The answer as a message, in the form of the messages that it answers.
fn assistant(text: &str, asked: &[Message]) -> Message {
    let parts = asked.iter().any(|m| matches!(m.content, crate::text::Content::Parts(_)));
    if parts {
        Message::parts("assistant", vec![crate::text::Part::Text(text.to_owned())])
    } else {
        Message::text("assistant", text)
    }
}

fn take(rows: &mut [Row], step: &Step, ends: &[u32], on_text: &mut dyn FnMut(usize, &str)) -> Result<()> {
    for (b, row) in rows.iter_mut().enumerate().filter(|(_, r)| r.finish.is_none()) {
        row.take(step.ids[b], step.logprobs[b], ends, &mut |text| on_text(b, text))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::StopFilter;

    /// Text that is given out for pieces, and whether it stopped.
    fn filtered(stop: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut filter = StopFilter { stop: stop.iter().map(|s| (*s).to_owned()).collect(), held: String::new() };
        let mut out = String::new();
        for piece in pieces {
            let (text, stopped) = filter.push(piece);
            out.push_str(&text);
            assert!(stopped || stop.iter().all(|s| !out.contains(s)));
            if stopped {
                return (out, true);
            }
        }
        (out + &filter.finish(), false)
    }

    #[test]
    fn text_is_cut_before_a_stop_string() {
        assert_eq!(filtered(&["\n\n"], &["one\n", "two\n", "\nthree"]), ("one\ntwo".into(), true));
        assert_eq!(filtered(&["###"], &["a#", "#b##"]), ("a##b##".into(), false));
        assert_eq!(filtered(&["é!"], &["caf", "é", "?"]), ("café?".into(), false));
        assert_eq!(filtered(&[], &["a", "b"]), ("ab".into(), false));
    }

    #[test]
    fn pieces_do_not_matter() {
        let stop = ["abc", "b", "ca"];
        let text = "xxcabcab";
        let whole = filtered(&stop, &[text]);
        let single: Vec<String> = text.chars().map(String::from).collect();
        assert_eq!(filtered(&stop, &single.iter().map(String::as_str).collect::<Vec<_>>()), whole);
        assert_eq!(whole, ("xx".into(), true));
    }
}
