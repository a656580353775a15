//! Text: tokenizers and chat templates.
//!
//! What lives here: `tokenizer.json` as its original library runs it (encode, decode, streaming decode),
//! prompts that know which of their parts a user wrote, and Jinja chat templates as transformers renders them.
//! What does not: which placeholder a model family uses, how many image tokens a picture takes (`models`), and
//! sampling (`generate`). No model, no GPU, no file system: everything comes in as bytes.
//!
//! Trust: a chat template and the placeholders that the engine inserts may hold special tokens; text that a user
//! wrote may not. [`Prompt`] carries that difference from the template to the token ids.

mod clock;
mod config;
mod decode_stream;
mod guard;
mod message;
mod prompt;
mod python;
mod split;
mod template;
mod tiktoken;
mod tokenizer;

#[cfg(test)]
mod tests;

pub use clock::CivilTime;
pub use decode_stream::DecodeStream;
pub use guard::Guard;
pub use message::{Content, Message, Part};
pub use prompt::{Prompt, Segment};
pub use template::{ChatTemplate, RenderOptions, TemplateSources};
pub use tokenizer::Tokenizer;
