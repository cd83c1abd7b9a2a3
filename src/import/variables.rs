//! Names of environment variables, and texts that refer to them.

use super::tree::YamlTree;

/// A text as the name of a variable.
pub(super) fn variable_name(text: &str) -> String {
    let letters = text.chars().map(|c| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    });
    let name: String = letters.collect();
    match name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
        true => format!("_{name}"),
        false => name,
    }
}

/// Whether a variable may have that name.
pub(super) fn is_variable(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// A text with `$NAME` and `${NAME}` as variables, if it has one.
pub(super) fn dollars(text: &str) -> Option<(YamlTree, Vec<String>)> {
    let mut out = String::new();
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        let after = after.get(1..).unwrap_or_default();
        out.push_str(before);
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let (name, tail) = match after.strip_prefix('{') {
            Some(inside) => inside.split_once('}').unwrap_or(("", after)),
            None => after.split_at(after.find(word).unwrap_or(after.len())),
        };
        if is_variable(name) {
            out.push_str(&format!("${{{name}}}"));
            names.push(name.to_owned());
            rest = tail;
        } else {
            // A dollar that means itself.
            out.push_str(if after.starts_with('{') { "$$" } else { "$" });
            rest = after;
        }
    }
    out.push_str(rest);
    (!names.is_empty()).then_some((YamlTree::Text(out), names))
}
