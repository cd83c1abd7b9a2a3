//! Others' files as trees: YAML, JSON, and JSON with comments, bounded in size, in the order in which they are written.
//!
//! Numbers keep the digits in which they are written, as prices must not pass through floating point.

use std::collections::HashMap;

use serde_json::Value;
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::TScalarStyle;

/// Values that a file may have, aliases counted as often as they are used.
const MOST_VALUES: usize = 200_000;
/// How deep they may be nested.
const MOST_DEPTH: usize = 64;

/// A value of a file.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum SourceNode {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number, as it is written.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<SourceNode>),
    /// Keys and values, in order; a key that is written twice has its last value.
    Map(Vec<(String, SourceNode)>),
}

impl SourceNode {
    /// The value of a key, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let found = self.entries().iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value)
    }

    /// The entries of a map; none of anything else.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; a single value counts as a list of one, nothing as an empty one.
    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Null => &[],
            _ => std::slice::from_ref(self),
        }
    }

    /// What a scalar says, as it is written.
    pub(super) fn scalar(&self) -> Option<String> {
        match self {
            Self::Bool(true) => Some("true".to_owned()),
            Self::Bool(false) => Some("false".to_owned()),
            Self::Number(text) | Self::Text(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// A text or a number as text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text.trim()),
            _ => None,
        }
    }

    /// A text with something in it.
    pub(super) fn name(&self) -> Option<&str> {
        self.text().filter(|text| !text.is_empty())
    }

    /// A number, also one that is written in quotes.
    pub(super) fn number(&self) -> Option<f64> {
        let number: f64 = self.text()?.parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// Whether it says yes, also in quotes.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Bool(said) => *said,
            Self::Text(text) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }
}

/// Reads a file's text.
///
/// # Errors
/// Why it cannot be read, without a word of the file.
pub(super) fn parse(text: &str) -> Result<SourceNode, String> {
    let text = text.trim_start_matches('\u{feff}');
    if !text.trim_start().starts_with(['{', '[', '/']) {
        return from_yaml(text);
    }
    if let Ok(value) = serde_json::from_str(text) {
        return from_json(value);
    }
    let bare = without_comments(text);
    match serde_json::from_str(&bare) {
        Ok(value) => from_json(value),
        // Keys without quotes and texts in single ones are YAML too. What is neither is told as JSON, which it was to be.
        Err(error) => from_yaml(&bare).map_err(|_| error.to_string()),
    }
}

/// The same as JSON, for what goes into requests: numbers are those of JSON.
///
/// # Errors
/// As above.
pub(super) fn json_of(text: &str) -> Result<Value, String> {
    parse(text).map(into_json)
}

fn into_json(node: SourceNode) -> Value {
    match node {
        SourceNode::Null => Value::Null,
        SourceNode::Bool(said) => Value::Bool(said),
        SourceNode::Number(digits) => {
            serde_json::from_str(&digits).unwrap_or(Value::String(digits))
        }
        SourceNode::Text(text) => Value::String(text),
        SourceNode::List(items) => items.into_iter().map(into_json).collect(),
        SourceNode::Map(entries) => {
            let entries = entries.into_iter();
            entries.map(|(key, node)| (key, into_json(node))).collect()
        }
    }
}

fn from_json(value: Value) -> Result<SourceNode, String> {
    let mut left = MOST_VALUES;
    json(value, &mut left).ok_or_else(too_large)
}

fn too_large() -> String {
    format!("it has more than {MOST_VALUES} values, or is nested deeper than {MOST_DEPTH}")
}

/// The depth is bounded by the parser.
fn json(value: Value, left: &mut usize) -> Option<SourceNode> {
    *left = left.checked_sub(1)?;
    Some(match value {
        Value::Null => SourceNode::Null,
        Value::Bool(said) => SourceNode::Bool(said),
        Value::Number(number) => SourceNode::Number(number.to_string()),
        Value::String(text) => SourceNode::Text(text),
        Value::Array(items) => {
            let items = items.into_iter().map(|item| json(item, left));
            SourceNode::List(items.collect::<Option<_>>()?)
        }
        Value::Object(entries) => {
            let read = |(key, value)| Some((key, json(value, left)?));
            SourceNode::Map(entries.into_iter().map(read).collect::<Option<_>>()?)
        }
    })
}

/// JSON without the comments and the last commas that some programs allow in it; its lines stay where they are.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    let mut quote: Option<char> = None;
    while let Some(letter) = letters.next() {
        let quoted = quote.is_some();
        match (letter, letters.peek()) {
            ('\\', Some(_)) if quoted => {
                out.push(letter);
                out.extend(letters.next());
                continue;
            }
            ('"' | '\'', _) if quote.is_none_or(|open| open == letter) => {
                quote = if quoted { None } else { Some(letter) };
            }
            ('/', Some('/')) if !quoted => {
                while letters.next_if(|next| *next != '\n').is_some() {}
                continue;
            }
            ('/', Some('*')) if !quoted => {
                letters.next();
                let mut last = ' ';
                for next in letters.by_ref() {
                    if last == '*' && next == '/' {
                        break;
                    }
                    if next == '\n' {
                        out.push('\n');
                    }
                    last = next;
                }
                continue;
            }
            ('}' | ']', _) if !quoted => {
                let kept = out.trim_end().len();
                if out.get(..kept).is_some_and(|kept| kept.ends_with(',')) {
                    out.replace_range(kept - 1..kept, "");
                }
            }
            _ => {}
        }
        out.push(letter);
    }
    out
}

/// What is being read of a list or a map.
enum OpenNode {
    List(Vec<SourceNode>, usize),
    Map(Vec<(String, SourceNode)>, Option<String>, usize),
}

/// The first document of a text. Pulls events rather than recursing, so that no nesting is too deep for the stack.
fn from_yaml(text: &str) -> Result<SourceNode, String> {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<OpenNode> = Vec::new();
    let mut anchors: HashMap<usize, SourceNode> = HashMap::new();
    let mut left = MOST_VALUES;
    loop {
        let (event, _) = parser
            .next_token()
            .map_err(|error| format!("line {}: {}", error.marker().line(), error.info()))?;
        let (node, anchor) = match event {
            Event::SequenceStart(anchor, _) => {
                open.push(OpenNode::List(Vec::new(), anchor));
                None
            }
            Event::MappingStart(anchor, _) => {
                open.push(OpenNode::Map(Vec::new(), None, anchor));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(closed),
            Event::Scalar(text, style, anchor, _) => Some((scalar(text, style), anchor)),
            Event::Alias(anchor) => {
                let node = anchors.get(&anchor).cloned().unwrap_or(SourceNode::Null);
                Some((node, 0))
            }
            Event::DocumentEnd | Event::StreamEnd => return Ok(SourceNode::Null),
            Event::Nothing | Event::StreamStart | Event::DocumentStart => None,
        }
        .unzip();
        if open.len() > MOST_DEPTH {
            return Err(too_large());
        }
        let Some(node) = node else { continue };
        left = left.checked_sub(size(&node)).ok_or_else(too_large)?;
        if let Some(anchor) = anchor.filter(|anchor| *anchor > 0) {
            anchors.insert(anchor, node.clone());
        }
        match open.last_mut() {
            None => return Ok(node),
            Some(OpenNode::List(items, _)) => items.push(node),
            Some(OpenNode::Map(entries, key, _)) => match key.take() {
                None => *key = Some(node.scalar().unwrap_or_default()),
                Some(key) => put(entries, key, node),
            },
        }
    }
}

fn closed(open: OpenNode) -> (SourceNode, usize) {
    match open {
        OpenNode::List(items, anchor) => (SourceNode::List(items), anchor),
        OpenNode::Map(entries, _, anchor) => (SourceNode::Map(merged(entries)), anchor),
    }
}

/// How many values it adds, those of an alias included.
fn size(node: &SourceNode) -> usize {
    match node {
        SourceNode::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        SourceNode::Map(entries) => 1 + entries.iter().map(|(_, value)| size(value)).sum::<usize>(),
        _ => 1,
    }
}

/// Sets a key, in the place where it was first.
pub(super) fn put(entries: &mut Vec<(String, SourceNode)>, key: String, node: SourceNode) {
    match entries.iter_mut().find(|(name, _)| *name == key) {
        Some((_, value)) => *value = node,
        None => entries.push((key, node)),
    }
}

/// `<<: *base` fills in what the map itself does not say.
fn merged(mut entries: Vec<(String, SourceNode)>) -> Vec<(String, SourceNode)> {
    let Some(at) = entries.iter().position(|(key, _)| key == "<<") else {
        return entries;
    };
    let (_, base) = entries.remove(at);
    for base in base.items() {
        for (key, value) in base.entries() {
            if !entries.iter().any(|(name, _)| name == key) {
                entries.push((key.clone(), value.clone()));
            }
        }
    }
    entries
}

/// A scalar by what it looks like, unless it is quoted.
fn scalar(text: String, style: TScalarStyle) -> SourceNode {
    if style != TScalarStyle::Plain {
        return SourceNode::Text(text);
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => SourceNode::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "on" | "On" => SourceNode::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "off" | "Off" => SourceNode::Bool(false),
        other if numeric && other.parse::<f64>().is_ok() => SourceNode::Number(text),
        _ => SourceNode::Text(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> SourceNode {
        SourceNode::Text(text.to_owned())
    }

    #[test]
    fn yaml_keeps_order_digits_quotes_anchors_and_merged_keys() {
        let node = parse(
            "b: &base {x: 5.90e-07, y: '2'}\na:\n  <<: *base\n  y: yes\n  z: 2023-05-15\n  e:\nx: 1\nx: 2\n",
        );
        let node = node.unwrap();
        let keys: Vec<&str> = node.entries().iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["b", "a", "x"]);
        let a = node.get("a").unwrap();
        assert_eq!(a.get("x"), Some(&SourceNode::Number("5.90e-07".to_owned())));
        assert_eq!(a.get("y"), Some(&SourceNode::Bool(true)));
        assert_eq!(a.get("z"), Some(&text("2023-05-15")));
        assert_eq!(a.get("e"), Some(&SourceNode::Null));
        assert_eq!(node.get("b").unwrap().get("y"), Some(&text("2")));
        assert_eq!(node.get("x").unwrap().number(), Some(2.0));
    }

    #[test]
    fn json_may_have_comments_and_last_commas() {
        let json = "// of a router\n{\"a\": [1, 2,], /* no */ \"u\": \"http://h/\\\"//,]\", }";
        let node = parse(json).unwrap();
        assert_eq!(node.get("a").unwrap().items().len(), 2);
        assert_eq!(node.get("u"), Some(&text("http://h/\"//,]")));
    }

    #[test]
    fn json_for_people_has_comments_bare_keys_and_single_quotes() {
        let node = parse("// it's\n{a: 'http://h/x', /* b\n */ \"c\": [1, 2,], // d\n}").unwrap();
        assert_eq!(node.get("a"), Some(&text("http://h/x")));
        assert_eq!(node.get("c").unwrap().items().len(), 2);
    }

    #[test]
    fn what_is_no_file_or_too_much_is_refused() {
        assert!(parse("a: [1").unwrap_err().contains("line"));
        let broken = parse("{\n/* x\n*/ \"a\": \"b\" \"c\"}").unwrap_err();
        assert!(broken.contains("line 3"), "{broken}");
        assert!(parse(&"[".repeat(10_000)).is_err());
        assert!(parse(&"- ".repeat(10_000)).is_err());
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for at in 1..9 {
            let last = at - 1;
            bomb += &format!(
                "a{at}: &a{at} [{}]\n",
                vec![format!("*a{last}"); 10].join(", ")
            );
        }
        assert!(parse(&bomb).unwrap_err().contains("values"));
    }
}
