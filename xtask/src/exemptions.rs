//! The list of exemptions: `xtask/exemptions.txt`, a line each: rule, place, allowed number, reason.
//!
//! An exemption without a reason, or one that nothing needs any more, is itself a finding: the list can only be true.

use crate::checks::Finding;
use crate::steps::root;

/// One line of the list.
#[derive(Debug, Clone, PartialEq)]
struct Exemption {
    rule: String,
    place: String,
    allowed: usize,
    line: usize,
}

const FILE: &str = "xtask/exemptions.txt";

/// Takes exempted findings of `rules` out, and adds one for every stale or malformed line about those rules.
pub fn apply(findings: Vec<Finding>, rules: &[&str]) -> Result<Vec<Finding>, String> {
    let text = std::fs::read_to_string(root().join(FILE)).map_err(|e| format!("{FILE}: {e}"))?;
    Ok(filter(findings, rules, &text))
}

fn filter(findings: Vec<Finding>, rules: &[&str], text: &str) -> Vec<Finding> {
    let (list, mut left) = parse(text);
    let covers = |e: &Exemption, f: &Finding| e.rule == f.rule && e.place == f.place;
    for e in list.iter().filter(|e| rules.contains(&e.rule.as_str())) {
        if !findings.iter().any(|f| covers(e, f)) {
            let message = format!("{} {} needs no exemption any more: remove the line", e.rule, e.place);
            left.push(Finding::at("exemption", FILE, e.line, message));
        }
    }
    left.extend(findings.into_iter().filter(|f| !list.iter().any(|e| covers(e, f) && f.value <= e.allowed)));
    left
}

fn parse(text: &str) -> (Vec<Exemption>, Vec<Finding>) {
    let (mut list, mut bad) = (Vec::new(), Vec::new());
    for (i, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let head = (words.next(), words.next(), words.next().and_then(|n| n.parse().ok()));
        match (head, words.count()) {
            ((Some(rule), Some(place), Some(allowed)), 3..) => {
                list.push(Exemption { rule: rule.into(), place: place.into(), allowed, line: i + 1 });
            }
            _ => {
                bad.push(Finding::at("exemption", FILE, i + 1, "wants: rule place number reason (three words or more)"))
            }
        }
    }
    (list, bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(value: usize) -> Vec<Finding> {
        vec![Finding { value, ..Finding::at("lines", "src/a.rs", 0, "too long") }]
    }

    #[test]
    fn an_exemption_covers_up_to_its_number() {
        let text = "# list\nlines src/a.rs 600 a table of names\n";
        assert!(filter(long(600), &["lines"], text).is_empty());
        assert_eq!(filter(long(601), &["lines"], text).len(), 1);
    }

    #[test]
    fn a_stale_line_is_found() {
        let found = filter(Vec::new(), &["lines"], "lines src/a.rs 600 a table of names\n");
        assert_eq!((found[0].rule, found[0].line), ("exemption", 1));
        assert!(filter(Vec::new(), &["function"], "lines src/a.rs 600 a table of names\n").is_empty());
    }

    #[test]
    fn a_line_without_a_reason_is_found_and_does_not_count() {
        assert_eq!(filter(long(600), &["lines"], "lines src/a.rs 600\n").len(), 2);
        assert_eq!(filter(long(600), &["lines"], "lines src/a.rs many of these lines\n").len(), 2);
    }
}
