//! Tests of the text layer: on small tokenizers made here, and on the golden tokenizer cases where they are there.

mod goldens;
mod guarded;
mod made;
mod prompts;
mod streams;
mod templates;
mod tokens;
