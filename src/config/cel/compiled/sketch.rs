//! A look at the text of an expression before its parser sees it. That parser takes exponential memory for short texts whose
//! brackets do not match (cel-rust issue 306), and much stack for deep ones (issues 212 and 305).

use super::error::{CelError, DEEPEST};

/// How many signs (`!`, `-`) may stand in a row.
const SIGNS: usize = 4;

/// Checks that brackets and quotes match, and how deep it is. Each `?` of a condition counts as a level, as what follows it
/// is inside it.
pub(super) fn check(text: &str) -> Result<(), CelError> {
    let mut open = Vec::new();
    let (mut conditions, mut signs) = (0_usize, 0_usize);
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        rest = match letter {
            '"' | '\'' => after_text(text, rest).ok_or(CelError::Unbalanced)?,
            '/' if rest.starts_with("//") => rest.split_once('\n').map_or("", |(_, rest)| rest),
            _ => rest.get(letter.len_utf8()..).unwrap_or_default(),
        };
        signs = match letter {
            '!' | '-' => signs + 1,
            letter if letter.is_whitespace() => signs,
            _ => 0,
        };
        match letter {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            '?' => conditions += 1,
            ')' | ']' | '}' if open.pop() != Some(letter) => return Err(CelError::Unbalanced),
            _ => {}
        }
        if open.len() + conditions > DEEPEST || signs > SIGNS {
            return Err(CelError::Deep);
        }
    }
    match open.is_empty() {
        true => Ok(()),
        false => Err(CelError::Unbalanced),
    }
}

/// What comes after the text that `rest` begins with; `None` when it does not end. `whole` tells whether it is a raw one
/// (`r'…'`), in which a backslash means nothing.
fn after_text<'a>(whole: &str, rest: &'a str) -> Option<&'a str> {
    let quote = rest.get(..1)?;
    let before = whole.get(..whole.len() - rest.len())?;
    let prefix = before.trim_end_matches(['r', 'R', 'b', 'B']);
    let is_raw = before.get(prefix.len()..)?.contains(['r', 'R']);
    let long = quote.repeat(3);
    let quote = if rest.starts_with(&long) {
        &long
    } else {
        quote
    };
    let mut inside = rest.get(quote.len()..)?;
    loop {
        if let Some(after) = inside.strip_prefix(quote) {
            return Some(after);
        }
        let mut letters = inside.chars();
        match letters.next()? {
            '\\' if !is_raw => drop(letters.next()?),
            '\n' | '\r' if quote.len() == 1 => return None,
            _ => {}
        }
        inside = letters.as_str();
    }
}
