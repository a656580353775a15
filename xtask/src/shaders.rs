//! Rules on WGSL files that need no compiler: how a shader opens, what it must not contain, names.

use crate::checks::Finding;

/// Checks one file of `shaders/`.
pub fn check(name: &str, text: &str) -> Vec<Finding> {
    let part = name.contains("/parts/");
    let mut findings = opening(name, text, part);
    for (i, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let mut add = |message: String| findings.push(Finding::at("shader", name, i + 1, message));
        if code.trim_start().starts_with('#') {
            add("there is no preprocessor: choose a part, or an override".into());
        }
        if let Some(constant) = override_name(code)
            && constant.chars().any(|c| c.is_ascii_lowercase())
        {
            add(format!("override {constant} is not UPPER_CASE"));
        }
        for (word, instead) in [("tid", "lane"), ("gid", "row or group"), ("lid", "lane")] {
            if words(code).any(|w| w == word) {
                add(format!("`{word}`: say {instead}"));
            }
        }
    }
    findings
}

fn opening(name: &str, text: &str, part: bool) -> Vec<Finding> {
    let comment: Vec<&str> = text.lines().take_while(|l| l.starts_with("//") || l.is_empty()).collect();
    let says = |word: &str| comment.iter().any(|l| l.trim_start_matches('/').trim_start().starts_with(word));
    let mut findings = Vec::new();
    if part && !says("Role ") {
        findings.push(Finding::at("shader", name, 1, "a part opens with `// Role <role>: what it promises`"));
    }
    if !part && !says("Parts:") {
        findings.push(Finding::at("shader", name, 1, "a kernel opens with its formula and a `// Parts:` line"));
    }
    let entries = text.matches("@compute").count();
    if entries != usize::from(!part) {
        findings.push(Finding::at("shader", name, 0, format!("{entries} entry points; a kernel has one, a part none")));
    }
    findings
}

fn override_name(code: &str) -> Option<&str> {
    let rest = code.trim_start().strip_prefix("override ")?;
    rest.split([':', '=', ';', ' ']).next()
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: &str =
        "// y = x\n//\n// Parts: elem\n\noverride LANES: u32 = 64;\n\n@compute @workgroup_size(LANES)\nfn main() {}\n";

    #[test]
    fn a_kernel_and_a_part_pass() {
        assert_eq!(check("shaders/a.wgsl", KERNEL), []);
        assert_eq!(check("shaders/parts/a.wgsl", "// Role elem: f32.\n\nalias Elem = f32;\n"), []);
    }

    #[test]
    fn each_rule_can_fail() {
        let one = |from: &str, to: &str| check("shaders/a.wgsl", &KERNEL.replace(from, to)).len();
        assert_eq!(one("// Parts: elem\n", ""), 1);
        assert_eq!(one("override LANES: u32", "override Lanes: u32"), 1);
        assert_eq!(one("override", "#ifdef A\noverride"), 1);
        assert_eq!(one("main() {}", "main() { let tid = 0u; }"), 1);
        assert_eq!(one("@compute", ""), 1);
        assert_eq!(check("shaders/parts/a.wgsl", "alias Elem = f32;\n").len(), 1);
        assert_eq!(check("shaders/parts/a.wgsl", &format!("// Role a: b\n{KERNEL}")).len(), 1);
    }
}
