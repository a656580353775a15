//! One set of names for a model whatever saved it.
//!
//! Checkpoints of one architecture come under several names: hub names (transformers 4), those of transformers 5, those
//! of the original code, with and without a `model.` in front. A [`Scheme`] is a table of rules that turns all of them
//! into the hub names of transformers 4.57, which the rest of the engine uses. Usual tables are in `schemes`.

use std::collections::BTreeMap;

use super::{Checkpoint, clip};
use crate::{Error, Result};

/// `from` -> `to`. A pattern that ends in `.` (or is empty) stands for the front of a name, any other for a
/// whole name; `*` stands for one part between dots and is carried over in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    from: &'static str,
    to: &'static str,
    when: Option<&'static str>,
}

/// The rule `from` -> `to`.
pub const fn rule(from: &'static str, to: &'static str) -> Rule {
    Rule { from, to, when: None }
}

/// The rule that leaves names in front of the later rules of its pass as they are.
pub const fn keep(from: &'static str) -> Rule {
    Rule { from, to: from, when: None }
}

impl Rule {
    /// The rule, but only for checkpoints in which some tensor matches the pattern `present`.
    #[must_use]
    pub const fn when(self, present: &'static str) -> Self {
        Self { when: Some(present), ..self }
    }
}

/// Passes, one after the other. In a pass, the first rule that matches a name rewrites it; a name that none
/// matches stays. `when` looks at the names as the pass finds them.
pub type Scheme = [&'static [Rule]];

impl Checkpoint {
    /// The same checkpoint under canonical names; the names in the files stay in [`TensorEntry::stored`].
    ///
    /// # Errors
    /// [`Error::Malformed`] when two tensors get one name.
    ///
    /// [`TensorEntry::stored`]: super::TensorEntry::stored
    pub fn canonical(&self, scheme: &Scheme) -> Result<Self> {
        let mut renamed = self.clone();
        for pass in scheme {
            let rules: Vec<&Rule> = pass.iter().filter(|rule| renamed.meets(rule)).collect();
            for entry in &mut renamed.entries {
                if let Some(name) = rules.iter().find_map(|rule| rewrite(rule, &entry.name)) {
                    entry.name = name;
                }
            }
        }
        renamed.sort()?;
        Ok(renamed)
    }

    /// The same checkpoint with the names in `renames` (old -> new) replaced, the others as they are.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] for an old name that is not there; [`Error::Malformed`] when two tensors get one name.
    pub fn with_renames(&self, renames: &BTreeMap<String, String>) -> Result<Self> {
        for old in renames.keys() {
            self.entry(old)?;
        }
        if let Some(new) = renames.values().find(|new| new.is_empty() || new.len() > 4096) {
            return Err(Error::malformed(&self.label, format!("`{}` as a new tensor name", clip(new))));
        }
        let mut renamed = self.clone();
        for entry in &mut renamed.entries {
            if let Some(new) = renames.get(&entry.name) {
                entry.name.clone_from(new);
            }
        }
        renamed.sort()?;
        Ok(renamed)
    }

    fn meets(&self, rule: &Rule) -> bool {
        rule.when.is_none_or(|present| self.names().any(|name| matches(present, name).is_some()))
    }
}

fn rewrite(rule: &Rule, name: &str) -> Option<String> {
    let (parts, rest) = matches(rule.from, name)?;
    let mut parts = parts.into_iter();
    let mut new = String::with_capacity(name.len() + rule.to.len());
    for (at, piece) in rule.to.split('*').enumerate() {
        if at > 0 {
            new.push_str(parts.next()?);
        }
        new.push_str(piece);
    }
    new.push_str(rest);
    Some(new)
}

/// What each `*` of `pattern` stands for in `name`, and what follows the pattern.
fn matches<'a>(pattern: &str, name: &'a str) -> Option<(Vec<&'a str>, &'a str)> {
    let mut parts = Vec::new();
    let mut rest = name;
    for (at, piece) in pattern.split('*').enumerate() {
        if at > 0 {
            let end = rest.find('.').unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            parts.push(&rest[..end]);
            rest = &rest[end..];
        }
        rest = rest.strip_prefix(piece)?;
    }
    let front = pattern.is_empty() || pattern.ends_with('.');
    (front || rest.is_empty()).then_some((parts, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let new = |from, to, name| rewrite(&rule(from, to), name);
        assert_eq!(new("model.", "m.", "model.norm.weight").as_deref(), Some("m.norm.weight"));
        assert_eq!(new("model", "m", "model.norm.weight"), None);
        assert_eq!(new("a.b", "c", "a.b").as_deref(), Some("c"));
        assert_eq!(new("", "model.", "norm.weight").as_deref(), Some("model.norm.weight"));
        assert_eq!(new("h.*.attn.*.", "l.*.at.*.", "h.12.attn.q.bias").as_deref(), Some("l.12.at.q.bias"));
        assert_eq!(new("h.*.attn.", "l.*.at.", "h..attn.q"), None);
        assert_eq!(new("h.*.attn.", "l.*.at.", "h.1.2.attn.q"), None);
        // More stars than were matched: no rewrite instead of a wrong one.
        assert_eq!(new("h.*.", "l.*.*.", "h.1.w"), None);
    }
}
