//! The table of parts in `shaders/README.md`: made from the parts themselves, so that it cannot lie.
//!
//! A role's contract is what every part of the role defines and some file outside the role uses.

use crate::checks::Finding;
use crate::repo::{self, File};
use crate::steps::root;
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = "shaders/README.md";
const OPEN: &str = "<!-- parts: written by `cargo xtask kernels` -->\n";
const CLOSE: &str = "<!-- end of parts -->";

/// Writes the table into the page.
pub fn write() -> Result<(), String> {
    let (page, want) = pages()?;
    if page == want { Ok(()) } else { std::fs::write(root().join(PAGE), want).map_err(|e| format!("{PAGE}: {e}")) }
}

/// Whether the page's table is that of the parts.
pub fn check() -> Result<Vec<Finding>, String> {
    let (page, want) = pages()?;
    let mut findings = split_roles(&repo::files_under(&root().join("shaders"), "wgsl")?);
    let stale = || Finding::at("parts", PAGE, 0, "the table of parts is not today's: run `cargo xtask kernels`");
    findings.extend((page != want).then(stale));
    Ok(findings)
}

/// Roles whose parts have no name in common: two roles under one name.
fn split_roles(files: &[File]) -> Vec<Finding> {
    let parts: Vec<Part<'_>> = files.iter().filter_map(|(name, text)| part(name, text)).collect();
    let message = |role: &str| format!("the parts of role {role} define no name in common that anything uses");
    let empty = |p: &&Part<'_>| {
        let list: Vec<&Part<'_>> = parts.iter().filter(|q| q.role == p.role).collect();
        contract(p.role, &list, files).is_empty()
    };
    let place = |p: &Part<'_>| format!("shaders/{}", p.file);
    let findings = parts.iter().filter(empty).map(|p| Finding::at("parts", &place(p), 1, message(p.role)));
    findings.collect()
}

/// The page as it is, and as it should be.
fn pages() -> Result<(String, String), String> {
    let page = std::fs::read_to_string(root().join(PAGE)).map_err(|e| format!("{PAGE}: {e}"))?;
    let bounds = page.find(OPEN).map(|p| p + OPEN.len()).zip(page.find(CLOSE));
    let (start, end) = bounds.ok_or_else(|| format!("{PAGE} has lost the marks of its table: {OPEN}"))?;
    let files = repo::files_under(&root().join("shaders"), "wgsl")?;
    let want = format!("{}{}{}", &page[..start], table(&files), &page[end..]);
    Ok((page, want))
}

/// A part, read.
struct Part<'a> {
    file: &'a str,
    role: &'a str,
    about: String,
    defines: BTreeSet<&'a str>,
    bindings: Vec<&'a str>,
    barriers: bool,
}

fn table(files: &[File]) -> String {
    let parts: Vec<Part<'_>> = files.iter().filter_map(|(name, text)| part(name, text)).collect();
    let mut roles: BTreeMap<&str, Vec<&Part<'_>>> = BTreeMap::new();
    for part in &parts {
        roles.entry(part.role).or_default().push(part);
    }
    let mut out = String::from("| role | names it defines | part | what it is |\n|---|---|---|---|\n");
    for (role, list) in &roles {
        let contract = contract(role, list, files).join(" ");
        for (i, part) in list.iter().enumerate() {
            let (role, contract) = if i == 0 { (*role, contract.as_str()) } else { ("", "") };
            let file = part.file.trim_end_matches(".wgsl").trim_start_matches("parts/");
            let owns =
                if part.bindings.is_empty() { String::new() } else { format!(" Binds {}.", part.bindings.join(", ")) };
            let barriers = if part.barriers { " Contains barriers." } else { "" };
            out.push_str(&format!("| {role} | {contract} | {file} | {}{owns}{barriers} |\n", part.about));
        }
    }
    out
}

fn part<'a>(name: &'a str, text: &'a str) -> Option<Part<'a>> {
    let head = text.lines().next()?.strip_prefix("// Role ")?;
    let role = word(head)?;
    let comment: Vec<&str> = text.lines().map_while(|l| l.strip_prefix("//")).flat_map(str::split_whitespace).collect();
    let comment = comment.join(" ");
    let sentence = comment.strip_prefix("Role ")?.strip_prefix(role)?.trim_start_matches([':', ',', ' ']);
    let stops = sentence.match_indices(". ").map(|(p, _)| p);
    let end = stops.into_iter().find(|p| sentence[p + 2..].starts_with(char::is_uppercase)).unwrap_or(sentence.len());
    let about = sentence[..end].trim_end_matches('.').replace('|', "\\|");
    let code = text.lines().filter(|l| !l.starts_with("//"));
    let bindings = code.clone().filter(|l| l.starts_with("@group")).filter_map(|l| word(l.split("> ").nth(1)?));
    Some(Part {
        file: name,
        role,
        about: format!("{}.", if about.is_empty() { "To be described" } else { &about }),
        defines: code.filter_map(defined).collect(),
        bindings: bindings.collect(),
        barriers: text.contains("workgroupBarrier()"),
    })
}

/// What a line at the outer level defines: a function, a type, a constant.
fn defined(line: &str) -> Option<&str> {
    let keywords = ["fn ", "alias ", "override ", "const ", "struct "];
    word(keywords.iter().find_map(|k| line.strip_prefix(k))?)
}

fn word(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().filter(|w| !w.is_empty())
}

/// Names that all parts of a role define and that are used outside the role.
fn contract<'a>(role: &str, list: &[&Part<'a>], files: &[File]) -> Vec<&'a str> {
    let outside = files.iter().filter(|(name, text)| part(name, text).is_none_or(|p| p.role != role));
    let code = outside.flat_map(|(_, text)| text.lines().map(|l| l.split("//").next().unwrap_or_default()));
    let used: BTreeSet<&str> = code.flat_map(|l| l.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')).collect();
    let Some(first) = list.first() else { return Vec::new() };
    let shared = first.defines.iter().filter(|n| used.contains(*n) && list.iter().all(|p| p.defines.contains(*n)));
    shared.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<File> {
        let texts = [
            ("a.wgsl", "// f\n// Parts: fold\n@compute fn main() { let x = fold(Elem(1)); }"),
            (
                "parts/fold_tree.wgsl",
                "// Role fold: by a tree. More.\n\nfn helper() {}\nfn fold() { workgroupBarrier(); }\n",
            ),
            (
                "parts/fold_one.wgsl",
                "// Role fold, for one lane.\n\n@group(1) @binding(0) var<storage, read> t: u32;\nfn fold() {}\n",
            ),
        ];
        texts.map(|(name, text)| (name.to_string(), text.to_string())).to_vec()
    }

    #[test]
    fn the_table_says_what_all_parts_of_a_role_define() {
        let table = table(&files());
        assert!(table.contains("| fold | fold | fold_tree | by a tree. Contains barriers. |"), "{table}");
        assert!(table.contains("|  |  | fold_one | for one lane. Binds t. |"), "{table}");
    }

    #[test]
    fn a_part_that_lacks_a_name_takes_it_out_of_the_contract() {
        let mut files = files();
        assert!(split_roles(&files).is_empty());
        files[2].1 = "// Role fold, for one lane.\nfn folded() {}\n".into();
        assert_eq!(split_roles(&files).len(), 2);
        assert!(table(&files).contains("| fold |  | fold_tree |"));
    }
}
