//! What a check finds, and how findings are printed.

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Name of the rule, as `exemptions.txt` writes it: `lines`, `function`, `arrow`, ...
    pub rule: &'static str,
    /// File, or `file:function`, relative to the root.
    pub place: String,
    /// Line, or 0 for the whole file.
    pub line: usize,
    /// What was measured; an exemption allows up to its own number.
    pub value: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Finding {
    /// A finding that is there or not, at a line.
    pub fn at(rule: &'static str, place: &str, line: usize, message: impl Into<String>) -> Self {
        Self { rule, place: place.into(), line, value: 1, message: message.into() }
    }
}

/// Prints findings; whether there was none.
pub fn print(findings: Vec<Finding>) -> Result<bool, String> {
    for f in &findings {
        let line = if f.line > 0 { format!(":{}", f.line) } else { String::new() };
        eprintln!("{}{line}: {}: {}", f.place, f.rule, f.message);
    }
    Ok(findings.is_empty())
}
