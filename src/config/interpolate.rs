//! `${VAR}` and `${VAR:-default}` anywhere in a string, `$${` for a literal `${`.
//!
//! Values are put in once and never interpreted again: a key that contains `${` stays as it is.

use std::collections::BTreeMap;

use super::variables::push;

/// Why a string could not be interpolated.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InterpolateError {
    /// A variable is not set and has no default.
    #[error("the environment variable {name} is not set")]
    Unset {
        /// The variable's name.
        name: String,
    },
    /// `${` without `}`.
    #[error("`${{` is never closed by `}}`")]
    Unclosed,
    /// Something between the braces that is not a variable's name.
    #[error("`${{{name}}}` does not name an environment variable")]
    BadName {
        /// The text between the braces.
        name: String,
    },
    /// Defaults inside defaults, too deep to be meant.
    #[error("`${{…:-${{…}}}}` is nested more than 16 times")]
    TooDeep,
}

/// A string whose variables were replaced.
#[derive(Clone, PartialEq, Eq)]
pub struct Interpolated {
    /// The result. It may be a secret.
    pub text: String,
    /// The variables whose values it contains, in order.
    pub variables: Vec<String>,
}

/// Interpolates `text` with the variables of `env`.
///
/// `${VAR:-default}` takes the default when the variable is unset or empty; the default may itself contain
/// `${…}` and is looked at only when it is needed.
///
/// # Errors
/// The first mistake: see [`InterpolateError`].
pub fn interpolate(
    text: &str,
    env: &BTreeMap<String, String>,
) -> Result<Interpolated, InterpolateError> {
    let mut done = Interpolated {
        text: String::with_capacity(text.len()),
        variables: Vec::new(),
    };
    expand(text, env, 0, &mut done)?;
    Ok(done)
}

fn expand(
    text: &str,
    env: &BTreeMap<String, String>,
    depth: usize,
    done: &mut Interpolated,
) -> Result<(), InterpolateError> {
    const DEEPEST: usize = 16;
    if depth > DEEPEST {
        return Err(InterpolateError::TooDeep);
    }
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        let inside = after.get(2..).unwrap_or_default();
        if let Some(literal) = before.strip_suffix('$') {
            push(&mut done.text, literal);
            push(&mut done.text, "${");
            rest = inside;
            continue;
        }
        push(&mut done.text, before);
        let close = closing(inside).ok_or(InterpolateError::Unclosed)?;
        let (expression, tail) = inside.split_at(close);
        rest = tail.get(1..).unwrap_or_default();
        let (name, default) = match expression.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (expression, None),
        };
        if !is_name(name) {
            return Err(InterpolateError::BadName {
                name: name.chars().take(40).collect(),
            });
        }
        match (env.get(name), default) {
            (Some(value), None) => put(name, value, done),
            (Some(value), Some(_)) if !value.is_empty() => put(name, value, done),
            (_, Some(default)) => expand(default, env, depth + 1, done)?,
            (None, None) => {
                return Err(InterpolateError::Unset {
                    name: name.to_owned(),
                });
            }
        }
    }
    push(&mut done.text, rest);
    Ok(())
}

fn put(name: &str, value: &str, done: &mut Interpolated) {
    push(&mut done.text, value);
    done.variables.push(name.to_owned());
}

/// The position of the `}` of an opened `${`, after any `${…}` inside.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                depth += 1;
                at += 1;
            }
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(word) && text.starts_with(|c: char| !c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn env() -> BTreeMap<String, String> {
        [("A", "one"), ("B", "${A}"), ("EMPTY", ""), ("LIST", "x,y")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn text(text: &str) -> Result<String, InterpolateError> {
        interpolate(text, &env()).map(|done| done.text)
    }

    #[test]
    fn variables_are_put_in_anywhere() {
        assert_eq!(text("${A}").unwrap(), "one");
        assert_eq!(
            text("https://${A}.example/${LIST}!").unwrap(),
            "https://one.example/x,y!"
        );
        assert_eq!(text("${EMPTY}").unwrap(), "");
        assert_eq!(text("$A {A} $").unwrap(), "$A {A} $");
    }

    #[test]
    fn defaults_are_taken_when_a_variable_is_unset_or_empty() {
        assert_eq!(text("${NO:-http://x:1/v1}").unwrap(), "http://x:1/v1");
        assert_eq!(text("${EMPTY:-d}").unwrap(), "d");
        assert_eq!(text("${A:-d}").unwrap(), "one");
        assert_eq!(text("${NO:-}").unwrap(), "");
        assert_eq!(text("${NO:-${A}-${NOR:-two}}!").unwrap(), "one-two!");
        assert_eq!(text("${A:-${NO}}").unwrap(), "one");
    }

    #[test]
    fn a_value_is_not_interpreted_again() {
        assert_eq!(text("${B}").unwrap(), "${A}");
    }

    #[test]
    fn two_dollars_make_a_literal() {
        assert_eq!(text("$${A}").unwrap(), "${A}");
        assert_eq!(text("$$${A}").unwrap(), "$${A}");
        assert_eq!(text("$$").unwrap(), "$$");
    }

    #[test]
    fn mistakes_say_what_is_wrong() {
        assert_eq!(
            text("x${NO}").unwrap_err().to_string(),
            "the environment variable NO is not set"
        );
        assert_eq!(text("${A").unwrap_err(), InterpolateError::Unclosed);
        assert!(matches!(text("${}"), Err(InterpolateError::BadName { .. })));
        assert!(matches!(
            text("${1A}"),
            Err(InterpolateError::BadName { .. })
        ));
        assert!(matches!(
            text("${a b}"),
            Err(InterpolateError::BadName { .. })
        ));
        let deep = format!("{}x{}", "${NO:-".repeat(40), "}".repeat(40));
        assert_eq!(text(&deep).unwrap_err(), InterpolateError::TooDeep);
    }

    #[test]
    fn the_variables_used_are_remembered() {
        let done = interpolate("${A}${NO:-${LIST}}", &env()).unwrap();
        assert_eq!(done.variables, ["A", "LIST"]);
    }

    proptest! {
        #[test]
        fn text_without_openings_is_left_alone(plain in "\\PC{0,80}") {
            prop_assume!(!plain.contains("${"));
            prop_assert_eq!(text(&plain).unwrap(), plain);
        }

        #[test]
        fn nothing_panics(any in "[${}:A-C\\-x]{0,60}") {
            let _ = text(&any);
        }

        #[test]
        fn an_escaped_text_comes_back(plain in "[a-z{}: ]{0,20}") {
            let wrapped = format!("$${{{plain}");
            prop_assert_eq!(text(&wrapped).unwrap(), format!("${{{plain}"));
        }
    }
}
