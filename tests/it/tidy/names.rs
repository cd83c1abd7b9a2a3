//! One meaning per type name: nobody should have to open a file to know which `State` is meant.

use std::collections::BTreeMap;

use super::source::{self, Token};
use super::{none, root};

/// What may stand before an item. Elsewhere `impl` and `type` mean something else.
const BEFORE_ITEMS: [&str; 8] = ["", "{", "}", ";", "]", ")", "pub", "unsafe"];

#[test]
fn no_type_name_is_used_twice() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in source::read_all(&root()) {
        for name in declared(&source::tokens(&file.text)) {
            let place = format!("src/{}:{}", file.path, name.line);
            places.entry(name.text).or_default().push(place);
        }
    }
    let twice = places.into_iter().filter(|(_, places)| places.len() > 1);
    let problems: Vec<String> = twice
        .map(|(name, places)| format!("`{name}`: {}", places.join(", ")))
        .collect();
    none(
        "types of one name: give each its subject, in the words of docs/glossary.md",
        &problems,
    );
}

/// The names of all types that are declared here. Associated types have the name that their trait gave them.
fn declared(tokens: &[Token]) -> Vec<Token> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut names = Vec::new();
    let mut blocks = Vec::new();
    let mut opens = "";
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", text);
        let is_item = BEFORE_ITEMS.contains(&before);
        let inside = blocks.last().copied().unwrap_or_default();
        match token.text.as_str() {
            "impl" | "trait" if is_item => opens = "associated",
            "section" if text(at + 1) == "!" && text(at + 2) == "{" => opens = "section",
            ";" => opens = "",
            "{" => blocks.push(std::mem::take(&mut opens)),
            "}" => drop(blocks.pop()),
            _ => {}
        }
        let declares = match token.text.as_str() {
            "struct" | "enum" | "union" | "trait" => is_item,
            "type" => is_item && inside != "associated",
            _ => false,
        };
        let name = match declares {
            true => tokens.get(at + 1),
            false => Some(token).filter(|_| inside == "section" && text(at + 1) == "{"),
        };
        names.extend(
            name.filter(|name| name.text.starts_with(char::is_uppercase))
                .cloned(),
        );
    }
    names
}

#[test]
fn declarations_are_told_from_uses() {
    let text = "pub struct A; impl Iterator for A { type Item = B; } trait C { type D; } type E = F; \
                section! { G { key: H, } } fn f(x: impl I) -> impl J { enum K {} }";
    let names: Vec<String> = declared(&source::tokens(text))
        .into_iter()
        .map(|name| name.text)
        .collect();
    assert_eq!(names, ["A", "C", "E", "G", "K"]);
}
