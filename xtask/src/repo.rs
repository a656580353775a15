//! Rules on the text of the repository: what would be wrong on any machine but the author's, stubs that would pass
//! for work, shader text made of strings, links that lead nowhere, files too large to clone.

use crate::checks::Finding;
use crate::steps::root;
use crate::{exemptions, parts, rust, shaders};
use std::path::{Path, PathBuf};

/// A file below some folder: path with slashes, and text.
pub type File = (String, String);

const RULES: &[&str] = &["panics", "big"];
/// Larger files make a clone slow; goldens and checkpoints stay below.
const BIG_KIB: u64 = 4096;
const TEXT: &[&str] = &["rs", "wgsl", "md", "toml", "txt", "sh", "yml", "yaml", "json", "lock", "py", ""];

/// Paths of all files of the repository: those git knows or would add; without git, all but build outputs.
pub fn list() -> Result<Vec<PathBuf>, String> {
    let mut git = std::process::Command::new("git");
    git.args(["ls-files", "-z", "-c", "-o", "--exclude-standard"]).current_dir(root());
    if let Ok(text) = crate::steps::output(&mut git) {
        let mut paths: Vec<PathBuf> = text.split('\0').filter(|p| !p.is_empty()).map(PathBuf::from).collect();
        paths.retain(|p| root().join(p).is_file());
        paths.sort();
        paths.dedup();
        return Ok(paths);
    }
    let mut paths = Vec::new();
    walk(&root(), Path::new(""), &mut paths)?;
    paths.sort();
    Ok(paths)
}

fn walk(base: &Path, below: &Path, out: &mut Vec<PathBuf>) -> Result<(), String> {
    let folder = base.join(below);
    for entry in std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let entry = entry.map_err(|e| format!("{}: {e}", folder.display()))?;
        let path = below.join(entry.file_name());
        let kind = entry.file_type().map_err(|e| format!("{}: {e}", path.display()))?;
        if kind.is_dir() && !matches!(entry.file_name().to_str(), Some("target" | ".git")) {
            walk(base, &path, out)?;
        } else if kind.is_file() {
            out.push(path);
        }
    }
    Ok(())
}

/// Text files of the repository with this extension that lie under `folder`, named relative to it.
pub fn files_under(folder: &Path, extension: &str) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    for path in list()? {
        let full = root().join(&path);
        let Ok(below) = full.strip_prefix(folder) else { continue };
        if path.extension().is_some_and(|e| e == extension) {
            let text = std::fs::read_to_string(&full).map_err(|e| format!("{}: {e}", path.display()))?;
            files.push((below.to_string_lossy().replace('\\', "/"), text));
        }
    }
    Ok(files)
}

/// All checks of this module and of `shaders`.
pub fn check() -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    let test_modules = rust::test_modules(&files_under(&root(), "rs")?);
    for path in list()? {
        let name = path.to_string_lossy().replace('\\', "/");
        let full = root().join(&path);
        let kib = std::fs::metadata(&full).map(|m| m.len().div_ceil(1024)).unwrap_or(0);
        if kib > BIG_KIB {
            let message = format!("{kib} KiB, the limit is {BIG_KIB}");
            findings.push(Finding { rule: "big", place: name.clone(), line: 0, value: kib as usize, message });
        }
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if TEXT.contains(&extension)
            && let Ok(text) = std::fs::read_to_string(&full)
        {
            findings.extend(text_file(&name, extension, &text, rust::is_test_file(&name, &test_modules)));
        }
    }
    findings.extend(entrances());
    findings.extend(parts::check()?);
    exemptions::apply(findings, RULES)
}

fn text_file(name: &str, extension: &str, text: &str, tests: bool) -> Vec<Finding> {
    let mut findings = of_one_machine(name, text);
    match extension {
        "rs" => findings.extend(rust_file(name, text, tests)),
        "wgsl" => findings.extend(shaders::check(name, text)),
        "md" => findings.extend(links(name, text)),
        _ => {}
    }
    findings
}

/// Paths of the author's machine and names of registry hosts: both make the text wrong elsewhere.
fn of_one_machine(name: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let before = |p: usize| line[..p].chars().next_back();
        let machine = ["work", "farm", "root"].iter().any(|folder| {
            let path = format!("/{folder}/");
            let outside = |p: usize| before(p).is_none_or(|c| !c.is_ascii_lowercase() && c != '.' && c != '}');
            line.match_indices(&path).any(|(p, _)| outside(p))
        });
        if machine {
            findings.push(Finding::at("machine", name, i + 1, "a path of one machine"));
        }
        if registry_host(line) {
            findings.push(Finding::at("host", name, i + 1, "the host of a registry: name the package instead"));
        }
    }
    findings
}

fn registry_host(line: &str) -> bool {
    let sites = ["debian", "crates", "pypi", "npmjs", "pythonhosted"];
    let names = sites.iter().flat_map(|site| ["org", "io", "com"].map(|top| format!("{site}.{top}")));
    names.into_iter().any(|host| {
        line.match_indices(&host).any(|(p, _)| {
            let head = &line[..p];
            let sub = head.strip_suffix('.').is_some_and(|h| h.ends_with(|c: char| c.is_ascii_lowercase()));
            sub || head.ends_with("//")
        })
    })
}

/// Calls that no library code makes on input.
const PANICS: &[&str] = &[".unwrap()", "panic!(", "unreachable!(", "println!(", "eprintln!(", "print!(", "dbg!("];

fn rust_file(name: &str, text: &str, tests: bool) -> Vec<Finding> {
    let code = rust::code_only(text);
    let mut findings = Vec::new();
    for stub in ["todo!(", "unimplemented!(", "#[ignore"] {
        for (at, _) in code.match_indices(stub) {
            let line = rust::line_of(&code, at);
            findings.push(Finding::at("stub", name, line, format!("`{stub}` is not finished work")));
        }
    }
    findings.extend(shader_strings(name, text, &code));
    if name.starts_with("src/") && !name.starts_with("src/bin/") && !tests {
        findings.extend(panics(name, &rust::without_tests(&code)));
    }
    findings
}

fn panics(name: &str, code: &str) -> Option<Finding> {
    let is_call = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let calls = |p: &&str| code.match_indices(*p).filter(|(at, _)| p.starts_with('.') || is_call(*at)).count();
    let value: usize = PANICS.iter().map(calls).sum();
    let at = PANICS.iter().filter_map(|p| code.find(p)).min()?;
    let message = format!("{value} calls of unwrap, panic or print in library code; return an error");
    let line = rust::line_of(code, at);
    (value > 0).then(|| Finding { rule: "panics", place: name.into(), line, value, message })
}

/// WGSL that is put together by `format!`: unreadable, and no tool sees it.
fn shader_strings(name: &str, text: &str, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, _) in code.match_indices("format!(") {
        let inside = &text[at..rust::close_brace(code.as_bytes(), at + "format!".len())];
        if ["@group", "@compute", "var<"].iter().any(|w| inside.contains(w)) && !name.starts_with("xtask/") {
            let message = "shader text made by format!: link whole files, use override constants";
            findings.push(Finding::at("shader-string", name, rust::line_of(text, at), message));
        }
    }
    findings
}

/// Relative links of a page have to lead to a file.
fn links(name: &str, text: &str) -> Vec<Finding> {
    let folder = root().join(name).parent().map(Path::to_path_buf).unwrap_or_default();
    broken_links(name, text, |target| folder.join(target).exists())
}

fn broken_links(name: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (i, line) in text.lines().enumerate() {
        for part in line.split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap_or_default();
            let outside = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !outside && !exists(target) {
                findings.push(Finding::at("link", name, i + 1, format!("`{target}` is not there")));
            }
        }
    }
    findings
}

/// The ways in that a newcomer and CI rely on.
fn entrances() -> Vec<Finding> {
    let mut findings = Vec::new();
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap_or_default();
    for command in ["cargo xtask demo", "cargo xtask test"] {
        if !readme.contains(command) {
            findings.push(Finding::at("entrance", "README.md", 0, format!("does not name `{command}`")));
        }
    }
    if !root().join(".ci/run").is_file() {
        findings.push(Finding::at("entrance", ".ci/run", 0, "is missing: nothing proves a change"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|f| f.rule).collect()
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let bad = |folder: &str| format!("see /{folder}/main/x");
        for folder in ["work", "farm", "root"] {
            assert_eq!(rules(&of_one_machine("a.md", &bad(folder))), ["machine"]);
        }
        for good in ["src/root/x.rs", "./root/x", "a network/ b", "lib.root/x"] {
            assert!(of_one_machine("a.md", good).is_empty(), "{good}");
        }
    }

    #[test]
    fn registry_hosts_are_found() {
        for (head, site) in [("deb.", "debian.org"), ("https://", "pypi.org"), ("registry.", "npmjs.org")] {
            assert_eq!(rules(&of_one_machine("a.md", &format!("from {head}{site}/x"))), ["host"]);
        }
        assert!(of_one_machine("a.md", "published on crates.io; source = rust-lang/crates.io-index").is_empty());
    }

    #[test]
    fn stubs_are_found_in_code_only() {
        assert_eq!(
            rules(&rust_file("kernels-test/a.rs", "fn f() { todo!() }\n#[ignore]\nfn g() {}", false)),
            ["stub", "stub"]
        );
        assert!(rust_file("kernels-test/a.rs", "// todo!()\nconst A: &str = \"unimplemented!()\";", false).is_empty());
    }

    #[test]
    fn panics_count_in_library_code_only() {
        let text = "fn f() { a.unwrap(); panic!(\"x\"); b.unwrap_or(1); assert!(true); }";
        let found = rust_file("src/a.rs", text, false);
        assert_eq!((found[0].rule, found[0].value), ("panics", 2));
        assert!(rust_file("src/bin/omma/main.rs", text, false).is_empty());
        assert!(rust_file("src/text/goldens.rs", text, true).is_empty());
        assert!(rust_file("src/a.rs", &format!("#[cfg(test)] mod tests {{ {text} }}"), false).is_empty());
        assert_eq!(rust_file("src/a.rs", "fn f() { eprintln!(\"x\") }", false)[0].value, 1);
    }

    #[test]
    fn shaders_made_of_strings_are_found() {
        let text = "fn f() { let s = format!(\n  \"{x}\\n@compute fn main() {{}}\",\n); }";
        assert_eq!(rules(&rust_file("src/a.rs", text, false)), ["shader-string"]);
        assert!(
            rust_file("src/a.rs", "fn f() { let s = format!(\"a {x}\"); let t = \"@compute\"; }", false).is_empty()
        );
    }

    #[test]
    fn broken_links_are_found() {
        let text = "[a](b.md) [c](https://x) [d](#e) [f](g.md#h)\n[i](nowhere.md)";
        let found = broken_links("x.md", text, |t| t == "b.md" || t == "g.md");
        assert_eq!((rules(&found), found[0].line), (vec!["link"], 2));
    }
}
