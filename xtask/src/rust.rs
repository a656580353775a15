//! Just enough reading of Rust source for the checks: text without comments and strings, tokens, functions, paths.
//!
//! Everything works on text of the same length as the file, so that positions stay positions of the file.

/// The source with comments and the insides of string and character literals replaced by spaces.
pub fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut i = 0;
    while i < bytes.len() {
        let end = literal_or_comment(bytes, i);
        match end {
            Some(end) => {
                for b in &mut out[i..end.min(bytes.len())] {
                    if *b != b'\n' {
                        *b = b' ';
                    }
                }
                i = end;
            }
            None if is_word(bytes[i]) => i = skip_word(bytes, i),
            None => i += 1,
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// End of the comment or literal that starts at `i`, if one does.
fn literal_or_comment(b: &[u8], i: usize) -> Option<usize> {
    match (b[i], b.get(i + 1)) {
        (b'/', Some(b'/')) => Some(find(b, i, b"\n").unwrap_or(b.len())),
        (b'/', Some(b'*')) => Some(block_comment(b, i)),
        (b'"', _) => Some(string(b, i)),
        (b'\'', _) => character(b, i),
        (b'r' | b'b' | b'c', _) => prefixed(b, i),
        _ => None,
    }
}

fn find(b: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    b[from..].windows(what.len()).position(|w| w == what).map(|p| from + p)
}

fn block_comment(b: &[u8], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0);
    while i + 1 < b.len() {
        match &b[i..i + 2] {
            b"/*" => (depth, i) = (depth + 1, i + 2),
            b"*/" => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    b.len()
}

fn string(b: &[u8], start: usize) -> usize {
    let mut i = start + 1;
    while i < b.len() && b[i] != b'"' {
        i += if b[i] == b'\\' { 2 } else { 1 };
    }
    i + 1
}

/// `'x'` and `'\n'` are literals, `'a` is a lifetime.
fn character(b: &[u8], start: usize) -> Option<usize> {
    if b.get(start + 1) == Some(&b'\\') {
        return find(b, start + 3, b"'").map(|p| p + 1);
    }
    let len = std::str::from_utf8(&b[start + 1..(start + 5).min(b.len())])
        .ok()
        .and_then(|s| s.chars().next())
        .map_or_else(|| b[start + 1..].iter().take_while(|c| **c >= 0x80).count().max(1), char::len_utf8);
    (b.get(start + 1 + len) == Some(&b'\'')).then_some(start + len + 2)
}

/// `r"..."`, `r#"..."#`, `b"..."`, `br"..."`, `c"..."`, `b'x'`.
fn prefixed(b: &[u8], start: usize) -> Option<usize> {
    let mut i = start + 1;
    let raw = b[start] == b'r' || b.get(i) == Some(&b'r');
    if b[start] != b'r' && raw {
        i += 1;
    }
    let hashes = b[i..].iter().take_while(|c| **c == b'#').count();
    match b.get(i + hashes) {
        Some(b'"') if raw => {
            let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
            Some(find(b, i + hashes + 1, &close).map_or(b.len(), |p| p + close.len()))
        }
        Some(b'"') if hashes == 0 => Some(string(b, i)),
        Some(b'\'') if hashes == 0 && b[start] == b'b' => character(b, i),
        _ => None,
    }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn skip_word(b: &[u8], start: usize) -> usize {
    start + b[start..].iter().take_while(|c| is_word(**c)).count().max(1)
}

/// `code` (already without comments) with the items under `#[cfg(test)]` blanked too.
pub fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    let mut from = 0;
    while let Some(p) = code[from..].find("#[cfg(test)]").map(|p| p + from) {
        let after = p + "#[cfg(test)]".len();
        let end = item_end(code.as_bytes(), after);
        out[p..end].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
        from = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Files without their ending that hold nothing but tests: `#[cfg(test)] mod name;` says so in another file.
pub fn test_modules(files: &[(String, String)]) -> Vec<String> {
    let mut list = Vec::new();
    for (name, text) in files {
        let stem = name.trim_end_matches(".rs");
        let folder = match stem.rsplit_once('/') {
            Some((folder, "mod" | "lib" | "main")) => format!("{folder}/"),
            None if matches!(stem, "lib" | "main") => String::new(),
            _ => format!("{stem}/"),
        };
        let code = code_only(text);
        for (at, mark) in code.match_indices("#[cfg(test)]") {
            let item = code[at + mark.len()..].split([';', '{']).next().unwrap_or_default();
            let ends = code[at + mark.len() + item.len()..].starts_with(';');
            if let (true, Some(module)) = (ends, item.trim().strip_prefix("mod ")) {
                list.push(format!("{folder}{}", module.trim()));
            }
        }
    }
    list
}

/// Whether a file is one of those, or lies below one.
pub fn is_test_file(name: &str, modules: &[String]) -> bool {
    modules.iter().any(|m| name.strip_prefix(m.as_str()).is_some_and(|rest| rest.starts_with(['.', '/'])))
}

/// End of the item that starts at `from`: its `;` or the brace that closes its body.
fn item_end(b: &[u8], from: usize) -> usize {
    match body(b, from) {
        Some((_, close)) => close,
        None => find(b, from, b";").map_or(b.len(), |p| p + 1),
    }
}

/// Opening brace and end of the next `{...}` that comes before a `;` outside parentheses.
fn body(b: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut nested = 0;
    for i in from..b.len() {
        match b[i] {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested -= 1,
            b';' if nested == 0 => return None,
            b'{' if nested == 0 => return Some((i, close_brace(b, i))),
            _ => {}
        }
    }
    None
}

/// Position after the brace that closes the one at `open`.
pub fn close_brace(b: &[u8], open: usize) -> usize {
    let mut depth = 0;
    for (i, c) in b.iter().enumerate().skip(open) {
        match c {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return i + 1;
        }
    }
    b.len()
}

/// Line of a byte position, from 1.
pub fn line_of(text: &str, position: usize) -> usize {
    text.as_bytes()[..position].iter().filter(|b| **b == b'\n').count() + 1
}

/// A word, `::`, or one other character, with its position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Token<'a> {
    /// The text.
    pub text: &'a str,
    /// Byte position in the file.
    pub at: usize,
}

impl Token<'_> {
    /// Whether it is an identifier or a keyword.
    pub fn is_name(&self) -> bool {
        self.text.as_bytes().first().is_some_and(|b| is_word(*b) && !b.is_ascii_digit())
    }
}

/// Tokens of code without comments and strings.
pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let b = code.as_bytes();
    let (mut list, mut i) = (Vec::new(), 0);
    while i < b.len() {
        let end = match b[i] {
            c if c.is_ascii_whitespace() || c >= 0x80 => {
                i += 1;
                continue;
            }
            c if is_word(c) => skip_word(b, i),
            b':' if b.get(i + 1) == Some(&b':') => i + 2,
            _ => i + 1,
        };
        list.push(Token { text: &code[i..end], at: i });
        i = end;
    }
    list
}

/// A function of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Line of `fn`.
    pub line: usize,
    /// Lines from `fn` to the closing brace.
    pub lines: usize,
}

/// Functions that have a body.
pub fn functions(code: &str) -> Vec<Function> {
    let list = tokens(code);
    let names = list.windows(2).filter(|w| w[0].text == "fn" && w[1].is_name());
    let function = |w: &[Token<'_>]| {
        let (_, close) = body(code.as_bytes(), w[1].at)?;
        let line = line_of(code, w[0].at);
        Some(Function { name: w[1].text.into(), line, lines: line_of(code, close - 1) - line + 1 })
    };
    names.filter_map(function).collect()
}

/// A path that the code names, below the root of the crate.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Segments after `crate::`.
    pub segments: Vec<String>,
    /// What it is called here, after `as`.
    pub alias: Option<String>,
    /// Byte position.
    pub at: usize,
}

/// Paths that begin with `crate::`, or climb to the root with `super::` from a module `depth` levels down.
pub fn crate_paths(code: &str, depth: usize) -> Vec<Path> {
    let list = tokens(code);
    let mut paths = Vec::new();
    let mut i = 0;
    while i + 1 < list.len() {
        let start = i;
        while i + 1 < list.len() && list[i].text == "super" && list[i + 1].text == "::" {
            i += 2;
        }
        let climbed = (i - start) / 2;
        if climbed > 0 && climbed >= depth && list[i].text != "*" {
            tree(&list, i, &[], &mut paths);
        } else if list[i].text == "crate" && list[i + 1].text == "::" {
            tree(&list, i + 2, &[], &mut paths);
        }
        i += 1;
    }
    paths
}

/// Paths of the `pub use` declarations, as written.
pub fn re_exports(code: &str) -> Vec<Path> {
    let list = tokens(code);
    let mut paths = Vec::new();
    for i in 0..list.len().saturating_sub(2) {
        if list[i].text == "pub" && list[i + 1].text == "use" {
            let skip = usize::from(list[i + 2].text == "crate" || list[i + 2].text == "self") * 2;
            tree(&list, i + 2 + skip, &[], &mut paths);
        }
    }
    paths
}

/// Reads a path or a use tree at token `i`; returns the token after it.
fn tree(list: &[Token<'_>], mut i: usize, prefix: &[String], out: &mut Vec<Path>) -> usize {
    let mut segments = prefix.to_vec();
    let at = list.get(i).map_or(0, |t| t.at);
    while let Some(token) = list.get(i) {
        if token.text == "{" {
            i += 1;
            while list.get(i).is_some_and(|t| t.text != "}") {
                let next = if list[i].text == "," { i + 1 } else { tree(list, i, &segments, out) };
                i = next.max(i + 1);
            }
            return i + 1;
        }
        if !token.is_name() && token.text != "*" {
            break;
        }
        if token.text != "self" {
            segments.push(token.text.into());
        }
        i += 1;
        if list.get(i).is_none_or(|t| t.text != "::") {
            break;
        }
        i += 1;
    }
    let renamed = list.get(i).is_some_and(|t| t.text == "as");
    let alias = if renamed { list.get(i + 1).map(|t| t.text.to_string()) } else { None };
    out.push(Path { segments, alias, at });
    i + usize::from(renamed) * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_not_code() {
        let source = "a /* b /* c */ */ \"d // e\" 'f' r#\"g \" h\"# b'i' // j\nk 'l m";
        let code = code_only(source);
        assert_eq!(code.len(), source.len());
        let words: Vec<_> = tokens(&code).into_iter().filter(Token::is_name).map(|t| t.text.to_string()).collect();
        assert_eq!(words, ["a", "k", "l", "m"]);
    }

    #[test]
    fn escapes_quotes_and_wide_characters() {
        let code = code_only(r#"x("\"", '\'', '\u{1F600}', 'é', b"\\") + y"#);
        let words: Vec<_> = tokens(&code).into_iter().filter(Token::is_name).map(|t| t.text.to_string()).collect();
        assert_eq!(words, ["x", "y"]);
    }

    #[test]
    fn raw_names_and_words_that_end_in_r_are_code() {
        assert_eq!(code_only("for \"x\" r b or"), "for     r b or");
    }

    #[test]
    fn test_items_are_blanked() {
        let code = without_tests("fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\n#[cfg(test)]\nuse c;\nfn d() {}");
        let names: Vec<_> = functions(&code).into_iter().map(|f| f.name).collect();
        assert_eq!(names, ["a", "d"]);
        assert!(!code.contains("use"));
    }

    #[test]
    fn files_of_test_modules_are_known() {
        let file = |name: &str, text: &str| (name.to_string(), text.to_string());
        let files = [
            file("src/image/mod.rs", "#[cfg(test)]\nmod goldens;\nmod plan;"),
            file("src/image/plan.rs", "#[cfg(test)]\nmod odd;\n#[cfg(test)] mod tests { mod x; }"),
            file("src/lib.rs", "#[cfg(test)] mod whole;"),
        ];
        let modules = test_modules(&files);
        assert_eq!(modules, ["src/image/goldens", "src/image/plan/odd", "src/whole"]);
        assert!(is_test_file("src/image/goldens.rs", &modules));
        assert!(is_test_file("src/image/goldens/a.rs", &modules));
        assert!(!is_test_file("src/image/goldens_more.rs", &modules));
    }

    #[test]
    fn functions_are_measured_to_their_closing_brace() {
        let source = "trait T { fn a(&self, x: [u8; 2]); }\nfn b(f: fn(u8) -> u8) -> [u8; 2] {\n  {}\n}\n";
        let list = functions(source);
        assert_eq!(list, [Function { name: "b".into(), line: 2, lines: 3 }]);
    }

    fn heads(code: &str, depth: usize) -> Vec<String> {
        crate_paths(code, depth).into_iter().map(|p| p.segments.join("::")).collect()
    }

    #[test]
    fn paths_are_read_through_groups() {
        let code = "use crate::{Caps, gpu::{Device, run::{self, x as y}}, graph::*}; let z = crate::text::f();";
        let want = ["Caps", "gpu::Device", "gpu::run", "gpu::run::x", "graph::*", "text::f"];
        assert_eq!(heads(code, 2), want);
    }

    #[test]
    fn super_counts_only_when_it_reaches_the_root() {
        assert_eq!(heads("use super::gpu::Device; super::super::graph::f()", 1), ["gpu::Device", "graph::f"]);
        assert_eq!(heads("use super::gpu::Device;", 2), Vec::<String>::new());
    }

    #[test]
    fn re_exports_keep_their_alias() {
        let paths = re_exports("pub use caps::{Caps, Other as Name}; use hidden::X;");
        assert_eq!(paths.len(), 2);
        assert_eq!(paths[1].alias.as_deref(), Some("Name"));
    }
}
