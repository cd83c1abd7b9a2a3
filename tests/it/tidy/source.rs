//! Reads `src/` the way the tidy test wants it: tokens without comments and texts, and the paths in them.
//!
//! Not a Rust parser: it knows `use` trees, paths and items under `#[cfg(test)]`, which is all that the
//! rules ask about, and it needs no dependency.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One source file.
pub struct File {
    /// From `src/` on, with slashes: `actors/key/mod.rs`.
    pub path: String,
    /// As a module: `["actors", "key"]`; empty for `lib.rs`.
    pub module: Vec<String>,
    /// Everything it holds.
    pub text: String,
    /// Paths outside test code.
    pub paths: Vec<UsedPath>,
    /// Paths inside test code.
    pub test_paths: Vec<UsedPath>,
    /// Tokens outside test code.
    pub tokens: Vec<Token>,
}

/// A path as it is used somewhere.
pub struct UsedPath {
    pub segments: Vec<String>,
    pub line: usize,
}

/// An identifier, a number, `::`, or a single character.
#[derive(Clone)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// All of `src/`, by path.
pub fn read_all(root: &Path) -> Vec<File> {
    let mut files = Vec::new();
    collect(&root.join("src"), "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 50, "src/ was not found");
    files
}

fn collect(dir: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            files.push(File::read(path, text));
        }
    }
}

impl File {
    fn read(path: String, text: String) -> Self {
        let stem = path.trim_end_matches(".rs");
        let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        if module == ["lib"] {
            module.clear();
        }
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        let (tokens, tests) = match is_test {
            true => (Vec::new(), tokens(&text)),
            false => split_tests(&tokens(&text)),
        };
        Self {
            paths: paths(&tokens),
            test_paths: paths(&tests),
            path,
            module,
            text,
            tokens,
        }
    }

    /// The path from the crate's root, if it is one of the crate's own.
    pub fn absolute(&self, path: &UsedPath) -> Option<Vec<String>> {
        let (first, rest) = path.segments.split_first()?;
        let up = path
            .segments
            .iter()
            .take_while(|part| *part == "super")
            .count();
        match first.as_str() {
            "crate" | "pointsman" => Some(rest.to_vec()),
            "self" => Some([&self.module, rest].concat()),
            "super" => {
                let kept = self.module.len().checked_sub(up)?;
                Some([self.module.get(..kept)?, path.segments.get(up..)?].concat())
            }
            child if self.children().contains(child) => {
                Some([&self.module[..], &path.segments].concat())
            }
            _ => None,
        }
    }

    /// The crate that a path leads into, if it is one of `crates`.
    pub fn outside<'a>(&self, path: &'a UsedPath, crates: &BTreeSet<String>) -> Option<&'a str> {
        let first = path.segments.first()?;
        let shadowed = self.children().contains(first.as_str())
            || self.paths.iter().any(|used| {
                used.segments.len() > 1
                    && used.segments.last() == Some(first)
                    && used.segments.first() != Some(first)
            });
        (crates.contains(first) && !shadowed).then_some(first.as_str())
    }

    fn children(&self) -> BTreeSet<&str> {
        let declared = self.tokens.windows(3).filter_map(|window| match window {
            [word, name, end] if word.text == "mod" && end.text == ";" => Some(name.text.as_str()),
            _ => None,
        });
        declared.collect()
    }
}

pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |place: usize| chars.get(place).copied().unwrap_or('\0');
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < chars.len() {
        let start = i;
        let first_line = line;
        match at(i) {
            '/' if at(i + 1) == '/' => i = find(&chars, i, &['\n']),
            '/' if at(i + 1) == '*' => i = find(&chars, i + 2, &['*', '/']) + 2,
            '"' => i = end_of_text(&chars, i),
            '\'' if at(i + 1) == '\\' => i = find(&chars, i + 3, &['\'']) + 1,
            '\'' if at(i + 2) == '\'' => i += 3,
            ':' if at(i + 1) == ':' => {
                tokens.push(Token {
                    text: "::".to_owned(),
                    line,
                });
                i += 2;
            }
            c if word(c) => {
                while word(at(i)) {
                    i += 1;
                }
                let text: String = chars.iter().take(i).skip(start).collect();
                let raw = ["r", "br", "cr"].contains(&text.as_str());
                let hashes = (i..).take_while(|place| at(*place) == '#').count();
                if raw && at(i + hashes) == '"' {
                    let mut end = vec!['"'];
                    end.extend(std::iter::repeat_n('#', hashes));
                    i = find(&chars, i + hashes + 1, &end) + end.len();
                } else {
                    tokens.push(Token { text, line });
                }
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token {
                        text: c.to_string(),
                        line,
                    });
                }
                i += 1;
            }
        }
        let passed = chars.iter().take(i).skip(start);
        line = first_line + passed.filter(|c| **c == '\n').count();
    }
    tokens
}

fn find(chars: &[char], from: usize, what: &[char]) -> usize {
    (from..chars.len())
        .find(|place| chars[*place..].starts_with(what))
        .unwrap_or(chars.len())
}

fn end_of_text(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// Tokens outside and inside of items under `#[cfg(test)]`.
fn split_tests(tokens: &[Token]) -> (Vec<Token>, Vec<Token>) {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut code, mut tests) = (Vec::new(), Vec::new());
    let mut i = 0;
    while i < tokens.len() {
        let marked = tokens.len() - i >= MARK.len()
            && tokens[i..]
                .iter()
                .zip(MARK)
                .all(|(token, fingerprint)| token.text == fingerprint);
        if !marked {
            code.push(tokens[i].clone());
            i += 1;
            continue;
        }
        let mut depth = 0_usize;
        i += MARK.len();
        while let Some(token) = tokens.get(i) {
            i += 1;
            tests.push(token.clone());
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && (token.text == "}" || token.text == ";") {
                break;
            }
        }
    }
    (code, tests)
}

fn paths(tokens: &[Token]) -> Vec<UsedPath> {
    let text = |place: usize| tokens.get(place).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let before = if i == 0 { "" } else { text(i - 1) };
        // The path of `pub(in path)` says who may look, not what is used.
        let visibility = i > 2 && before == "in" && text(i - 2) == "(" && text(i - 3) == "pub";
        if text(i) == "use" && before != "::" {
            i = use_tree(tokens, i + 1, &[], &mut found);
        } else if is_name(text(i)) && text(i + 1) == "::" && before != "::" && before != "." {
            let line = tokens[i].line;
            let mut segments = vec![text(i).to_owned()];
            while text(i + 1) == "::" && is_name(text(i + 2)) {
                segments.push(text(i + 2).to_owned());
                i += 2;
            }
            if !visibility {
                found.push(UsedPath { segments, line });
            }
        }
        i += 1;
    }
    found
}

/// Reads one tree from `i` on; returns the place of the token after it.
fn use_tree(tokens: &[Token], mut i: usize, prefix: &[String], found: &mut Vec<UsedPath>) -> usize {
    let text = |place: usize| tokens.get(place).map_or("", |token| token.text.as_str());
    let mut segments = prefix.to_vec();
    loop {
        match text(i) {
            "::" => i += 1,
            "{" => {
                i += 1;
                while text(i) != "}" && i < tokens.len() {
                    i = use_tree(tokens, i, &segments, found);
                    if text(i) == "," {
                        i += 1;
                    }
                }
                return i + 1;
            }
            "as" => i += 2,
            name if is_name(name) || name == "*" => {
                if name != "self" || segments.is_empty() {
                    segments.push(name.to_owned());
                }
                i += 1;
            }
            _ => {
                let line = tokens.get(i).map_or(0, |token| token.line);
                found.push(UsedPath { segments, line });
                return i;
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The reader reads what the rules rely on.
#[test]
fn the_reader_finds_paths_and_leaves_out_texts_comments_and_tests() {
    let text = r##"
//! use crate::no::comment;
use super::{a::B, c::{self, D as E}};
fn f<'a>(x: &'a str) -> char { crate::g::h(x, "crate::no::text", r#"crate::no"#); 'x' }
pub(in crate::no) struct S;
#[cfg(test)]
mod tests { use crate::only::tests; }
"##;
    let file = File::read("m/n.rs".to_owned(), text.to_owned());
    let show = |paths: &[UsedPath]| -> Vec<String> {
        let absolute = paths.iter().filter_map(|path| file.absolute(path));
        absolute.map(|path| path.join("::")).collect()
    };
    assert_eq!(show(&file.paths), ["m::a::B", "m::c", "m::c::D", "g::h"]);
    assert_eq!(show(&file.test_paths), ["only::tests"]);
    assert_eq!(file.paths[3].line, 4);
}
