//! From pictures and what a user says to the tokens of a prompt.
//!
//! Here: requests, conversations written by a chat template or by the family's own form, placeholders expanded to the
//! rows of their pictures, and what a session remembers of earlier turns. A user's text and earlier answers stay text:
//! special tokens and placeholders written in them count for nothing. Not here: running anything on a device.

use super::expand::{Joint, Placed, expand};
use super::pictures::{Pixels, tower_inputs};
use super::{Model, PictureSource, Sequence};
use crate::image::Policy;
use crate::image::tiles::Wish;
use crate::models::{Assembly, Decoder, PromptForm, grid_positions, tile_sight};
use crate::text::{ChatTemplate, Content, Message, Part, Prompt, RenderOptions, Segment, Tokenizer};
use crate::{Error, Result};

/// What a turn says.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Messages, written by the checkpoint's chat template or the family's form; usually one of the role `user`.
    Messages(Vec<Message>),
    /// The text as it is, appended to what the session holds. Its trusted parts may hold special tokens and
    /// placeholders.
    Exact(Prompt),
}

/// One turn: pictures, in the order of their placeholders, and what is said.
#[derive(Debug, Clone)]
pub struct Request {
    /// Pictures.
    pub pictures: Vec<Pixels>,
    /// What is said.
    pub ask: Ask,
}

impl Request {
    /// A user's turn: all pictures, then the text.
    pub fn new(pictures: Vec<Pixels>, text: impl Into<String>) -> Self {
        let mut parts = vec![Part::Image; pictures.len()];
        parts.push(Part::Text(text.into()));
        Self { pictures, ask: Ask::Messages(vec![Message::parts("user", parts)]) }
    }
    /// A user's turn of pictures and texts in any order.
    pub fn parts(pictures: Vec<Pixels>, parts: Vec<Part>) -> Self {
        Self { pictures, ask: Ask::Messages(vec![Message::parts("user", parts)]) }
    }
    /// A prompt that is trusted as a whole: special tokens and placeholders in it count.
    pub fn exact(pictures: Vec<Pixels>, text: impl Into<String>) -> Self {
        Self { pictures, ask: Ask::Exact(Prompt::trusted(text)) }
    }
}

/// What one sequence of a session has been told and has answered.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// Tokens in the cache.
    pub ids: Vec<u32>,
    /// Tokens that were chosen and are not in the cache: the last of an answer.
    pub rest: Vec<u32>,
    /// Messages and answers, while every turn was of messages.
    pub messages: Vec<Message>,
    /// Pictures of all turns.
    pub pictures: Vec<Pixels>,
    /// Where they stand among the tokens.
    pub placed: Vec<Placed>,
}

impl History {
    /// Whether there was a turn.
    pub fn begun(&self) -> bool {
        !self.ids.is_empty() || !self.rest.is_empty()
    }
}

/// A whole conversation as tokens.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tokens {
    /// Ids, those of picture rows included.
    pub ids: Vec<u32>,
    /// Where every picture stands.
    pub pictures: Vec<Placed>,
}

impl Tokens {
    /// Of these tokens, how many the cache holds already: at most all but one, never half a picture.
    pub fn kept(&self, cached: &[u32], decoder: Option<&Decoder>) -> usize {
        let same = self.ids.iter().zip(cached).take_while(|(a, b)| a == b).count();
        let same = same.min(self.ids.len().saturating_sub(1));
        let inside = self.pictures.iter().find(|p| p.first < same && same < p.first + p.len);
        let kept = inside.map_or(same, |p| p.first);
        // Features that stand beside a prompt are those of all pictures, or none.
        let (old, new) = (self.pictures.iter().any(|p| p.first < kept), self.pictures.iter().any(|p| p.first >= kept));
        let beside = decoder.is_some_and(|decoder| decoder.cross.is_some());
        if beside && old && new { 0 } else { kept }
    }
    /// The tokens behind the first `kept`, and the number of pictures before them.
    pub fn after(&self, kept: usize, decoder: Option<&Decoder>) -> (Sequence, usize) {
        let before = self.pictures.iter().take_while(|p| p.first < kept).count();
        let rows = self.pictures.iter().skip(before).flat_map(Placed::positions);
        let mut sequence = Sequence::new(self.ids[kept..].to_vec(), rows.map(|row| row - kept).collect());
        if decoder.is_some_and(|decoder| decoder.rope.sections.is_some()) {
            let grids: Vec<_> = self.pictures.iter().map(|p| (p.first, p.grid)).collect();
            sequence.positions = Some(grid_positions(0, self.ids.len(), &grids).split_off(kept));
        }
        if let Some(cross) = decoder.and_then(|decoder| decoder.cross).filter(|_| before < self.pictures.len()) {
            let tiles: Vec<_> = self.pictures[before..].iter().map(|p| (p.first - kept, p.tiles)).collect();
            sequence.sight = Some(tile_sight(self.ids.len() - kept, &tiles, cross.tiles));
        }
        (sequence, before)
    }
}

impl Model {
    /// A picture with its way into this model.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model without a picture tower and for a policy that is not done yet.
    pub fn pixels(&self, source: PictureSource, policy: Policy) -> Result<Pixels> {
        self.pixels_with(source, &Wish { policy, ..Wish::default() })
    }
    /// [`Model::pixels`] with a cap on tokens, or a size of its own.
    ///
    /// # Errors
    /// As [`Model::pixels`], and those of [`Processor::plan`](crate::image::tiles::Processor::plan).
    pub fn pixels_with(&self, source: PictureSource, wish: &Wish) -> Result<Pixels> {
        if self.spec.vision.is_none() {
            return Err(Error::unsupported("a picture", format!("{} takes text only", self.spec.model_type)));
        }
        let processor = self.files.processor.as_ref().ok_or_else(|| Error::Io {
            path: "preprocessor_config.json".into(),
            reason: "is not in the checkpoint; a picture needs it".into(),
        })?;
        let (width, height) = source.size();
        let (plan, inputs) = processor.plan(width, height, wish)?;
        Ok(Pixels { source, plan, inputs })
    }

    /// Tokens that a picture takes in a prompt: feature rows, and the marks between them.
    pub fn picture_rows(&self, picture: &Pixels) -> usize {
        let beside = self.spec.decoder.as_ref().is_some_and(|decoder| decoder.cross.is_some());
        match self.spec.connector {
            None => 0,
            Some(_) if beside => 1,
            Some(_) => picture.plan.tokens.total as usize,
        }
    }

    /// Rows that a prefill takes for these pictures, learned vectors included.
    ///
    /// # Errors
    /// Those of [`Assembly::new`].
    pub fn feature_rows(&self, pictures: &[Pixels]) -> Result<usize> {
        Ok(Assembly::new(&self.spec, &tower_inputs(pictures))?.rows())
    }

    /// A trusted prompt as tokens, each placeholder as its picture's rows and marks; with `special` the tokenizer adds
    /// its special tokens.
    ///
    /// # Errors
    /// As [`super::Session::answer`].
    pub fn sequence(&self, prompt: &str, pictures: &[Pixels], special: bool) -> Result<Sequence> {
        let pictures: Vec<&Pixels> = pictures.iter().collect();
        let tokens = Writer::new(self)?.tokens(&Prompt::trusted(prompt), special, &pictures)?;
        Ok(tokens.after(0, self.spec.decoder.as_ref()).0)
    }

    /// Tokens of the prompt that a request begins a conversation with, picture rows included.
    ///
    /// # Errors
    /// As [`super::Session::answer`].
    pub fn prompt_tokens(&self, request: &Request) -> Result<usize> {
        Ok(self.conversation(&History::default(), request)?.ids.len())
    }

    /// A conversation so far and its next turn as tokens.
    pub(super) fn conversation(&self, history: &History, request: &Request) -> Result<Tokens> {
        if self.spec.decoder.is_none() {
            let reason = format!("{} has no decoder that could answer", self.spec.model_type);
            return Err(Error::unsupported("a question", reason));
        }
        let writer = Writer::new(self)?;
        let begun = history.begun();
        let exact = begun && history.messages.is_empty();
        let (prompt, special) = match &request.ask {
            Ask::Exact(prompt) => (prompt.clone(), !begun),
            Ask::Messages(messages) => {
                let earlier = history.messages.iter().cloned();
                let (prompt, special) = writer.write(&earlier.chain(messages.iter().cloned()).collect::<Vec<_>>())?;
                (prompt, special && !exact)
            }
        };
        let append = exact || (begun && matches!(request.ask, Ask::Exact(_)));
        let earlier: &[Pixels] = if append { &[] } else { &history.pictures };
        let pictures: Vec<&Pixels> = earlier.iter().chain(&request.pictures).collect();
        let tokens = writer.tokens(&prompt, special, &pictures)?;
        Ok(if append { appended(history, tokens) } else { tokens })
    }
}

/// Tokens put behind those of a conversation that is not written anew.
fn appended(history: &History, new: Tokens) -> Tokens {
    let mut ids = [history.ids.as_slice(), &history.rest].concat();
    let mut pictures = history.placed.clone();
    pictures.extend(new.pictures.into_iter().map(|placed| placed.moved(ids.len())));
    ids.extend(new.ids);
    Tokens { ids, pictures }
}

/// Writes conversations for one model.
struct Writer<'m> {
    model: &'m Model,
    tokenizer: &'m Tokenizer,
}

impl<'m> Writer<'m> {
    fn new(model: &'m Model) -> Result<Self> {
        Ok(Self { model, tokenizer: model.files.need_tokenizer()? })
    }

    /// The prompt, and whether the tokenizer adds its special tokens.
    fn write(&self, messages: &[Message]) -> Result<(Prompt, bool)> {
        let template = self.model.files.template.as_ref().filter(|_| !self.model.spec.own_form);
        let Some(template) = template else {
            let spec = &self.model.spec;
            let image = if spec.leading.is_some() { "" } else { self.model.files.image_text.as_str() };
            return Ok((by_form(&spec.prompt, messages, image)?, true));
        };
        let prompt = self.by_template(template, messages)?;
        // A language model's template writes every special token itself; a processor of pictures lets its
        // tokenizer add them, unless the template has begun with one.
        let bos = self.tokenizer.bos_id().and_then(|id| self.tokenizer.id_to_token(id));
        let begun = bos.is_some_and(|bos| prompt.find(&bos).first() == Some(&0));
        Ok((prompt, self.model.spec.vision.is_some() && !begun))
    }

    fn by_template(&self, template: &ChatTemplate, messages: &[Message]) -> Result<Prompt> {
        let guard = self.tokenizer.guard(&[&self.model.files.image_text])?;
        let options = RenderOptions { add_generation_prompt: true, ..Default::default() };
        let spec = &self.model.spec;
        if spec.vision.is_some() && template.takes_parts(&options) {
            return template.render_guarded(messages, &options, &guard);
        }
        let ((before, after), image) = (spec.prompt.picture, &self.model.files.image_text);
        let marked = |n: usize| format!("{}{image}{after}", before.replace("{n}", &(n + 1).to_string()));
        template.render_flat(messages, &options, &guard, marked)
    }

    /// Tokens of a prompt whose n-th placeholder stands for `pictures[n]`.
    fn tokens(&self, prompt: &Prompt, special: bool, pictures: &[&Pixels]) -> Result<Tokens> {
        if self.model.spec.leading.is_some() {
            return self.led(prompt, special, pictures);
        }
        let text = &self.model.files.image_text;
        let placeholders = if self.model.spec.image_token.is_some() { prompt.find(text).len() } else { 0 };
        if placeholders != pictures.len() {
            let reason = format!("{placeholders} placeholders `{text}` for {} pictures", pictures.len());
            return Err(Error::argument("prompt", reason));
        }
        let (ids, marks) = self.ids(prompt, special)?;
        let mut tokens = Tokens { ids: Vec::with_capacity(ids.len()), pictures: Vec::new() };
        let (mut next, mut joint) = (pictures.iter(), Joint::default());
        for (id, placeholder) in ids.into_iter().zip(marks) {
            match if placeholder { next.next() } else { None } {
                Some(picture) => {
                    let picture = (*picture, tokens.pictures.len());
                    let (placed, end) = expand(self.model, self.tokenizer, picture, joint, &mut tokens.ids)?;
                    tokens.pictures.push(placed);
                    joint = end;
                }
                None => {
                    tokens.ids.push(id);
                    joint = Joint::default();
                }
            }
        }
        if tokens.pictures.len() != pictures.len() {
            let reason = format!("{} image tokens for {} pictures", tokens.pictures.len(), pictures.len());
            return Err(Error::argument("prompt", reason));
        }
        if tokens.ids.is_empty() {
            tokens.ids.extend(self.first_id()?);
        }
        Ok(tokens)
    }

    /// Tokens of a prompt behind its pictures, which have no placeholders.
    fn led(&self, prompt: &Prompt, special: bool, pictures: &[&Pixels]) -> Result<Tokens> {
        let mut tokens = Tokens { ids: Vec::new(), pictures: Vec::new() };
        for (number, picture) in pictures.iter().enumerate() {
            let picture = (*picture, number);
            let (placed, _) = expand(self.model, self.tokenizer, picture, Joint::default(), &mut tokens.ids)?;
            tokens.pictures.push(placed);
        }
        let text = self.tokenizer.encode_prompt(prompt, special)?;
        let begin = self.tokenizer.bos_id().filter(|id| special && text.first() != Some(id));
        tokens.ids.extend(begin.into_iter().chain(text));
        let end = self.model.spec.leading.filter(|_| !pictures.is_empty());
        tokens.ids.extend(end.and_then(|end| self.tokenizer.token_to_id(end)));
        Ok(tokens)
    }

    /// Ids, one for each placeholder, and which of them are placeholders.
    fn ids(&self, prompt: &Prompt, special: bool) -> Result<(Vec<u32>, Vec<bool>)> {
        let text = &self.model.files.image_text;
        let token = self.model.spec.image_token;
        let known = self.tokenizer.token_to_id(text);
        if token.is_none() || known == token || prompt.find(text).is_empty() {
            let ids = self.tokenizer.encode_prompt(prompt, special)?;
            let marks = ids.iter().map(|id| token.is_some() && Some(*id) == token).collect();
            return Ok((ids, marks));
        }
        // The vocabulary lacks the placeholder (original LLaVA): the texts around it are encoded one by one.
        let (mut ids, mut marks) = (Vec::new(), Vec::new());
        for (i, piece) in pieces(prompt, text).iter().enumerate() {
            if i > 0 {
                ids.extend(token);
                marks.push(true);
            }
            let more = self.tokenizer.encode_prompt(piece, special)?;
            let bos = i > 0 && more.first().copied() == self.tokenizer.bos_id() && !more.is_empty();
            ids.extend(&more[usize::from(bos)..]);
            marks.resize(ids.len(), false);
        }
        Ok((ids, marks))
    }

    /// The token that an empty prompt consists of, as generate() of the reference has it.
    fn first_id(&self) -> Result<Option<u32>> {
        for config in [self.model.files.generation.as_ref(), Some(&self.model.files.config)].into_iter().flatten() {
            if let Some(id) = config.optional::<usize>("bos_token_id")? {
                return Ok(u32::try_from(id).ok());
            }
        }
        Ok(self.tokenizer.bos_id())
    }
}

/// A prompt cut at its trusted placeholders.
fn pieces(prompt: &Prompt, placeholder: &str) -> Vec<Prompt> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let ends = prompt.find(placeholder);
    for end in ends.iter().copied().chain([prompt.text().len()]) {
        let mut piece = Prompt::default();
        let mut at = from;
        let inside = prompt.literal().iter().filter(|l| l.start < end && l.end > from);
        for literal in inside {
            let (start, stop) = (literal.start.max(from), literal.end.min(end));
            piece.push(Segment::Trusted(&prompt.text()[at..start]));
            piece.push(Segment::User(&prompt.text()[start..stop]));
            at = stop;
        }
        piece.push(Segment::Trusted(&prompt.text()[at..end]));
        pieces.push(piece);
        from = end + placeholder.len();
    }
    pieces
}

/// A conversation in a family's form.
fn by_form(form: &PromptForm, messages: &[Message], image_text: &str) -> Result<Prompt> {
    let mut prompt = Prompt::default();
    if messages.first().is_none_or(|m| m.role != "system") {
        prompt.push(Segment::Trusted(form.system));
    }
    let mut pictures = 0;
    for message in messages {
        let (before, after) = match message.role.as_str() {
            "user" => (form.user, form.assistant),
            "assistant" => form.answer,
            "system" => form.own_system,
            other => {
                let reason = "without a chat template; system, user and assistant are";
                return Err(Error::unsupported(format!("the role `{other}`"), reason));
            }
        };
        prompt.push(Segment::Trusted(before));
        match &message.content {
            Content::None => {}
            Content::Text(text) => prompt.push(Segment::User(text)),
            Content::Parts(parts) => parts.iter().try_for_each(|part| match part {
                Part::Text(text) => {
                    prompt.push(Segment::User(text));
                    Ok(())
                }
                Part::Image => {
                    pictures += 1;
                    let before = form.picture.0.replace("{n}", &pictures.to_string());
                    for text in [&before, image_text, form.picture.1] {
                        prompt.push(Segment::Trusted(text));
                    }
                    Ok(())
                }
                Part::Other(_) => Err(Error::unsupported("a part of a message", "texts and images are")),
            })?,
        }
        prompt.push(Segment::Trusted(after));
    }
    Ok(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: PromptForm = PromptForm {
        system: "S. ",
        own_system: ("", " "),
        user: "U: ",
        picture: ("", "\n"),
        assistant: " A:",
        answer: (" ", "</s>"),
    };

    #[test]
    fn forms_write_turns() {
        let user = |text: &str| Message::parts("user", vec![Part::Image, Part::Text(text.into())]);
        let list = [user("<image></s>?"), Message::text("assistant", "no"), user("why")];
        let prompt = by_form(&FORM, &list, "<image>").unwrap();
        assert_eq!(prompt.text(), "S. U: <image>\n<image></s>? A: no</s>U: <image>\nwhy A:");
        assert_eq!(prompt.find("<image>").len(), 2, "the user's is text");
        assert_eq!(prompt.find("</s>").len(), 1);
        let plain = by_form(&PromptForm::default(), &[Message::text("user", "as it is")], "<image>").unwrap();
        assert_eq!(plain.text(), "as it is");
        let own = [Message::text("system", "Be brief."), Message::text("user", "x")];
        assert_eq!(by_form(&FORM, &own, "<image>").unwrap().text(), "Be brief. U: x A:");
        assert!(by_form(&FORM, &[Message::text("tool", "x")], "<image>").is_err());
        let numbered = PromptForm { picture: ("Picture {n}: <img>", "</img>\n"), ..FORM };
        let text = by_form(&numbered, &[user("a"), user("b")], "<pad>").unwrap().text().to_owned();
        assert_eq!(text, "S. U: Picture 1: <img><pad></img>\na A:U: Picture 2: <img><pad></img>\nb A:");
    }

    #[test]
    fn pieces_keep_what_is_literal() {
        let parts = [Segment::Trusted("a <i>"), Segment::User("<i> b"), Segment::Trusted("<i> c")];
        let cut = pieces(&Prompt::from_segments(&parts), "<i>");
        let texts: Vec<&str> = cut.iter().map(Prompt::text).collect();
        assert_eq!(texts, ["a ", "<i> b", " c"]);
        assert_eq!(cut[1].literal(), std::slice::from_ref(&(0..5)));
    }

    #[test]
    fn the_cache_keeps_the_common_prefix() {
        let placed = |first| Placed { first, len: 3, rows: vec![0, 2], grid: [1, 1, 2], tiles: 1 };
        let tokens = Tokens { ids: vec![1, 9, 8, 9, 5, 9, 8, 9, 6], pictures: vec![placed(1), placed(5)] };
        let kept = |cached: &[u32]| tokens.kept(cached, None);
        assert_eq!(kept(&[]), 0);
        assert_eq!(kept(&[1, 9, 8, 9, 5]), 5);
        assert_eq!(kept(&[1, 9, 8, 9, 5, 9, 7]), 5, "half a picture is none");
        assert_eq!(kept(&tokens.ids), 8, "one token is left to run");
        let (rest, before) = tokens.after(5, None);
        assert_eq!((rest.ids.as_slice(), rest.pictures.as_slice(), before), (&[9, 8, 9, 6][..], &[0, 2][..], 1));
    }
}
