//! Parts of a key that are probably unintended: quotes, blanks, and words in front of it.
//!
//! `docker run --env-file` and systemd's `EnvironmentFile=` differ in how they treat quotes, and people copy whole
//! headers. The value is used as it is, since only the issuer of the key knows what belongs to it.

/// Quotes around a value, by where they open and close.
const QUOTES: [(char, char); 5] = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’')];

/// A warning about the value of keys at `place`; never shows anything of it.
pub(super) fn told(value: &str, place: &str) -> Option<String> {
    let found = odd(value)?;
    Some(format!("{place}: {found}"))
}

/// The keys of a list.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
}

fn odd(value: &str) -> Option<&'static str> {
    let trimmed = value.trim();
    if trimmed.is_empty() {
        return None;
    }
    if is_quoted(trimmed) || words(trimmed).any(is_quoted) {
        return Some(
            "the value has quotes around it, which are sent as a part of the key: write it without quotes \
             (docker --env-file leaves them in)",
        );
    }
    let first = words(trimmed).next().unwrap_or_default();
    let scheme = first.trim_end_matches(':');
    let is_header = scheme.eq_ignore_ascii_case("authorization");
    if is_header || scheme.eq_ignore_ascii_case("bearer") {
        return Some(
            "the value begins with a word of the Authorization header, which is taken for a key of its own: write \
             the key alone, without `Bearer`",
        );
    }
    if is_assignment(first) {
        return Some(
            "the value begins with a name and `=`, which are sent as a part of the key: write the key alone",
        );
    }
    (trimmed.len() != value.len())
        .then_some("the value has blanks or line ends around it, which are left out")
}

fn is_quoted(text: &str) -> bool {
    let quoted = |(open, close): &(char, char)| {
        let inside = text.strip_prefix(*open);
        inside.is_some_and(|inside| inside.ends_with(*close))
    };
    QUOTES.iter().any(quoted)
}

/// `GROQ_API_KEY=…`
fn is_assignment(word: &str) -> bool {
    let Some((name, value)) = word.split_once('=') else {
        return false;
    };
    let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.contains('_') && name.chars().all(legal) && !value.trim_matches('=').is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_part_of_a_key_is_found_and_keys_are_not() {
        for (value, part) in [
            ("\"sk-1\"", "quotes"),
            ("“sk-1”", "quotes"),
            ("sk-1,'sk-2'", "quotes"),
            ("Authorization: Bearer sk-1", "Authorization"),
            ("BEARER sk-1", "Bearer"),
            ("GROQ_API_KEY=gsk-1", "name"),
            ("sk-1 ", "blanks"),
            ("sk-1\r", "blanks"),
        ] {
            let text = told(value, "x").unwrap_or_default();
            assert!(
                text.starts_with("x: ") && text.contains(part),
                "{value}: {text}"
            );
        }
        for value in [
            "",
            " ",
            "sk-1",
            "sk-1, sk-2",
            "QUJD_0=",
            "a\"b",
            "bearers-key",
        ] {
            assert_eq!(told(value, "x"), None, "{value}");
        }
    }
}
