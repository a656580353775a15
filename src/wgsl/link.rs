//! Linking: whole files in order, `enable` directives first, and a map back to file and line.

use super::source;
use crate::Result;
use std::collections::HashMap;

/// A linked shader.
#[derive(Debug, Clone, PartialEq)]
pub struct Linked {
    /// File names, kernel first.
    pub files: Vec<String>,
    /// WGSL text.
    pub text: String,
    /// For each line of `text`: index into `files` and 1-based line there.
    lines: Vec<(usize, usize)>,
}

impl Linked {
    /// A text that is already linked, under the name of its kernel.
    pub fn whole(name: &str, text: &str) -> Self {
        join(&[(name, text)])
    }
    /// `file:line` of a 1-based line of the linked text.
    pub fn place(&self, line: usize) -> String {
        match self.lines.get(line.saturating_sub(1)) {
            Some((file, line)) => format!("{}.wgsl:{line}", self.files[*file]),
            None => "end of the shader".into(),
        }
    }
    /// Name of the kernel.
    pub fn name(&self) -> &str {
        self.files.first().map_or("", String::as_str)
    }
}

/// Concatenates shader files by name, `enable` directives hoisted and written once each.
pub fn link(files: &[&str]) -> Result<Linked> {
    link_over(files, &Replaced::default())
}

/// Texts that take the place of shader files, by name without `.wgsl`.
pub type Replaced = HashMap<String, String>;

/// [`link`], with some files replaced.
pub fn link_over(files: &[&str], replaced: &Replaced) -> Result<Linked> {
    let text = |file: &str| match replaced.get(file) {
        Some(text) => Ok(text.clone()),
        None => source(file).map(str::to_owned),
    };
    let texts = files.iter().map(|f| text(f)).collect::<Result<Vec<_>>>()?;
    let named: Vec<(&str, &str)> = files.iter().zip(&texts).map(|(name, text)| (*name, text.as_str())).collect();
    Ok(join(&named))
}

/// [`link`] over texts instead of names.
pub(crate) fn join(files: &[(&str, &str)]) -> Linked {
    let is_enable = |line: &str| line.trim_start().starts_with("enable ");
    let (mut head, mut head_lines, mut body, mut body_lines) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (file, (_, text)) in files.iter().enumerate() {
        for (number, line) in text.lines().enumerate() {
            let place = (file, number + 1);
            if !is_enable(line) {
                body.push(line);
                body_lines.push(place);
            } else if !head.contains(&line) {
                head.push(line);
                head_lines.push(place);
            }
        }
    }
    head.extend(body);
    head_lines.extend(body_lines);
    let mut text = head.join("\n");
    text.push('\n');
    Linked { files: files.iter().map(|(name, _)| (*name).to_owned()).collect(), text, lines: head_lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enables_are_hoisted_and_lines_are_mapped() {
        let linked = join(&[("kernel", "fn main() {}\n"), ("parts/a", "// a\nenable f16;\nconst A = 1;\n")]);
        assert_eq!(linked.text, "enable f16;\nfn main() {}\n// a\nconst A = 1;\n");
        assert_eq!(linked.place(1), "parts/a.wgsl:2");
        assert_eq!(linked.place(2), "kernel.wgsl:1");
        assert_eq!(linked.place(4), "parts/a.wgsl:3");
    }
}
