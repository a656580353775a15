//! Budgets that keep files readable: a shader 200 lines, a Rust file 500, a function 60.

use crate::checks::Finding;
use crate::steps::root;
use crate::{exemptions, repo, rust};

const RULES: &[&str] = &["lines", "function"];
const SHADER_LINES: usize = 200;
const RUST_LINES: usize = 500;
const FUNCTION_LINES: usize = 60;

/// Checks every Rust and WGSL file of the repository.
pub fn check() -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    for (name, text) in repo::files_under(&root(), "rs")? {
        findings.extend(rust_file(&name, &text));
    }
    for (name, text) in repo::files_under(&root(), "wgsl")? {
        findings.extend(lines(&name, &text, SHADER_LINES));
    }
    exemptions::apply(findings, RULES)
}

fn rust_file(name: &str, text: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = lines(name, text, RUST_LINES).into_iter().collect();
    for f in rust::functions(&rust::code_only(text)).into_iter().filter(|f| f.lines > FUNCTION_LINES) {
        findings.push(Finding {
            rule: "function",
            place: format!("{name}:{}", f.name),
            line: f.line,
            value: f.lines,
            message: format!("{} lines, the budget is {FUNCTION_LINES}", f.lines),
        });
    }
    findings
}

fn lines(name: &str, text: &str, budget: usize) -> Option<Finding> {
    let value = text.lines().count();
    let message = format!("{value} lines, the budget is {budget}");
    (value > budget).then(|| Finding { rule: "lines", place: name.into(), line: 0, value, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found() {
        assert!(lines("a.wgsl", &"\n".repeat(200), SHADER_LINES).is_none());
        assert_eq!(lines("a.wgsl", &"\n".repeat(201), SHADER_LINES).map(|f| f.value), Some(201));
        assert_eq!(rust_file("a.rs", &"\n".repeat(501)).len(), 1);
    }

    #[test]
    fn a_long_function_is_found() {
        let function = |lines: usize| format!("/// doc\nfn f() {{\n{}}}\n", "  a();\n".repeat(lines - 2));
        assert!(rust_file("a.rs", &function(60)).is_empty());
        let found = rust_file("a.rs", &function(61));
        assert_eq!((found[0].place.as_str(), found[0].line, found[0].value), ("a.rs:f", 2, 61));
    }
}
