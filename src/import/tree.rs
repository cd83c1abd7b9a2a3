//! The configuration that is being made, as a tree, and how it is written as YAML.

use std::fmt::Write as _;

/// A value of a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum YamlTree {
    /// A number, a time, a word: written without quotes.
    Bare(String),
    /// A text, in which `${NAME}` stands for a variable.
    Text(String),
    /// A list.
    List(Vec<YamlTree>),
    /// Keys and values, in order.
    Map(Vec<(String, YamlTree)>),
}

impl YamlTree {
    /// A text that means itself, whatever it contains.
    pub(super) fn literal(text: &str) -> Self {
        Self::Text(text.replace("${", "$${"))
    }

    /// The value of an environment variable.
    pub(super) fn variable(name: &str) -> Self {
        Self::Text(format!("${{{name}}}"))
    }

    /// A number or a word.
    pub(super) fn bare(value: impl ToString) -> Self {
        Self::Bare(value.to_string())
    }

    /// An empty map.
    pub(super) const fn map() -> Self {
        Self::Map(Vec::new())
    }

    /// A list of names.
    pub(super) fn names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let names = names.into_iter();
        Self::List(names.map(|name| Self::literal(name.as_ref())).collect())
    }

    /// The value at a path, if it is there.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        match self {
            Self::Map(entries) => {
                let (_, value) = entries.iter().find(|(key, _)| key == first)?;
                value.get(rest)
            }
            _ => None,
        }
    }

    /// Sets the value at a path; the maps on the way are made.
    pub(super) fn set(&mut self, path: &[&str], value: Self) {
        let Some((first, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self, Self::Map(_)) {
            *self = Self::map();
        }
        if let Self::Map(entries) = self {
            let at = entries.iter().position(|(key, _)| key == first);
            let at = at.unwrap_or_else(|| {
                entries.push(((*first).to_owned(), Self::map()));
                entries.len() - 1
            });
            if let Some((_, child)) = entries.get_mut(at) {
                child.set(rest, value);
            }
        }
    }

    /// Adds to the list at a path.
    pub(super) fn push(&mut self, path: &[&str], value: Self) {
        let mut items = match self.get(path) {
            Some(Self::List(items)) => items.clone(),
            _ => Vec::new(),
        };
        items.push(value);
        self.set(path, Self::List(items));
    }

    /// Adds the variables that are named in it.
    pub(super) fn add_variables(&self, names: &mut Vec<String>) {
        match self {
            Self::Bare(_) => {}
            Self::Text(text) => {
                // `$${` is a dollar that means itself.
                let text = text.replace("$${", "");
                for rest in text.split("${").skip(1) {
                    let name = rest.split('}').next().unwrap_or_default();
                    if !names.iter().any(|known| known == name) {
                        names.push(name.to_owned());
                    }
                }
            }
            Self::List(items) => items.iter().for_each(|item| item.add_variables(names)),
            Self::Map(entries) => {
                let values = entries.iter().map(|(_, value)| value);
                values.for_each(|value| value.add_variables(names));
            }
        }
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Bare(_) | Self::Text(_) => false,
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.is_empty(),
        }
    }

    /// Puts the keys of a map into this order; others follow as they are.
    pub(super) fn sort(&mut self, order: &[&str]) {
        if let Self::Map(entries) = self {
            let place = |key: &str| order.iter().position(|known| *known == key);
            entries.sort_by_key(|(key, _)| place(key).unwrap_or(order.len()));
        }
    }

    /// The tree as YAML, without a line break at its beginning.
    pub(super) fn to_yaml(&self) -> String {
        let mut out = String::new();
        self.write(0, &mut out);
        out.trim_start_matches('\n').to_owned() + "\n"
    }

    /// Writes the value behind a key or a dash: nested ones begin on the next line.
    fn write(&self, indent: usize, out: &mut String) {
        // Writing to a text never fails.
        match self {
            Self::Bare(text) => {
                let _ = write!(out, " {text}");
            }
            Self::Text(text) => {
                let _ = write!(out, " {}", quoted(text));
            }
            Self::List(items) if items.iter().all(Self::is_scalar) => {
                let items: Vec<String> = items.iter().map(Self::in_flow).collect();
                let _ = write!(out, " [{}]", items.join(", "));
            }
            Self::Map(entries) if entries.is_empty() => out.push_str(" {}"),
            Self::List(items) => {
                for item in items {
                    let _ = write!(out, "\n{:indent$}-", "");
                    match item {
                        Self::Map(entries) if !entries.is_empty() => {
                            let mut inner = String::new();
                            item.write(indent + 2, &mut inner);
                            let _ = write!(out, " {}", inner.trim_start());
                        }
                        other => other.write(indent + 2, out),
                    }
                }
            }
            Self::Map(entries) => {
                for (key, value) in entries {
                    let _ = write!(out, "\n{:indent$}{}:", "", quoted(key));
                    value.write(indent + 2, out);
                }
            }
        }
    }

    const fn is_scalar(&self) -> bool {
        matches!(self, Self::Bare(_) | Self::Text(_))
    }

    fn in_flow(&self) -> String {
        let mut out = String::new();
        self.write(0, &mut out);
        out.trim_start().to_owned()
    }
}

/// A text as a YAML scalar: plain where nobody could take it for anything else, else in the quotes of JSON.
fn quoted(text: &str) -> String {
    const WORDS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "null", "~"];
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./@+:-".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/');
    let word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    if begins && text.chars().all(plain) && !text.ends_with(':') && !word {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::source::{SourceNode, parse};
    use super::*;

    #[test]
    fn what_is_set_is_written_in_order() {
        let mut tree = YamlTree::map();
        tree.set(&["llm", "default_model"], YamlTree::literal("a:b"));
        let mut one = YamlTree::map();
        one.set(&["name"], YamlTree::literal("off"));
        one.set(&["api_key"], YamlTree::variable("KEY"));
        one.set(&["limits", "rpm"], YamlTree::bare(30));
        tree.push(&["llm", "providers"], one);
        tree.set(&["models"], YamlTree::names(["8x7b", "x ${y}"]));
        tree.sort(&["models"]);
        assert_eq!(
            tree.to_yaml(),
            "models: [\"8x7b\", \"x $${y}\"]\nllm:\n  default_model: a:b\n  providers:\n    - name: \"off\"\n      \
             api_key: \"${KEY}\"\n      limits:\n        rpm: 30\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_back(key in "\\PC{1,20}", text in any::<String>()) {
            let tree = YamlTree::Map(vec![(
                key.clone(),
                YamlTree::List(vec![YamlTree::Text(text.clone()), YamlTree::Map(vec![(key.clone(), YamlTree::Text(text.clone()))])]),
            )]);
            let read = parse(&tree.to_yaml()).unwrap();
            let [first, second] = read.get(&key).unwrap().items() else { panic!("{read:?}") };
            prop_assert_eq!(first, &SourceNode::Text(text.clone()));
            prop_assert_eq!(second.get(&key), Some(&SourceNode::Text(text)));
        }
    }
}
