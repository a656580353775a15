//! Chat messages, as a caller hands them to a chat template.
//!
//! Here: the types and their JSON form, which is what templates see. Not here: which roles or parts a template
//! accepts; it says so itself.

use serde_json::{Map, Value as Json, json};

/// One message of a conversation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, ...
    pub role: String,
    /// What is said.
    pub content: Content,
    /// Further fields that a template may read: `tool_calls`, `name`, `reasoning_content`, ...
    pub extra: Map<String, Json>,
}

/// The content of a message.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Content {
    /// No content (`None`), as of an assistant that only calls tools.
    #[default]
    None,
    /// One text, as templates of language models expect it.
    Text(String),
    /// Pictures and texts in order, as templates of multimodal models expect it.
    Parts(Vec<Part>),
}

/// A part of a content.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// A picture; the template writes the placeholder.
    Image,
    /// A text.
    Text(String),
    /// Any other part, e.g. `{"type": "video"}`.
    Other(Map<String, Json>),
}

impl Message {
    /// A message of one text.
    pub fn text(role: impl Into<String>, text: impl Into<String>) -> Self {
        Self { role: role.into(), content: Content::Text(text.into()), extra: Map::new() }
    }

    /// A message of parts.
    pub fn parts(role: impl Into<String>, parts: Vec<Part>) -> Self {
        Self { role: role.into(), content: Content::Parts(parts), extra: Map::new() }
    }

    /// A message whose parts are one text, with `picture` where pictures are.
    pub(super) fn flat(&self, picture: &str) -> Self {
        let Content::Parts(parts) = &self.content else { return self.clone() };
        let texts = parts.iter().map(|part| match part {
            Part::Image => picture,
            Part::Text(text) => text.as_str(),
            Part::Other(_) => "",
        });
        Self { content: Content::Text(texts.collect()), ..self.clone() }
    }

    /// The form that templates see.
    pub(super) fn to_json(&self) -> Json {
        let content = match &self.content {
            Content::None => Json::Null,
            Content::Text(text) => Json::from(text.as_str()),
            Content::Parts(parts) => parts.iter().map(Part::to_json).collect(),
        };
        let mut message = Map::new();
        message.insert("role".into(), Json::from(self.role.as_str()));
        message.insert("content".into(), content);
        message.extend(self.extra.clone());
        Json::Object(message)
    }
}

impl Part {
    fn to_json(&self) -> Json {
        match self {
            Self::Image => json!({"type": "image"}),
            Self::Text(text) => json!({"type": "text", "text": text}),
            Self::Other(fields) => Json::Object(fields.clone()),
        }
    }
}
