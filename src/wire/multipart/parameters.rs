//! The parameters of a header.

/// The parameters behind the first semicolon of a header (RFC 9110, 5.6.6), quotes undone; `None` where it is not clear
/// where one ends.
pub(super) fn parameters(text: &str) -> Option<Vec<(&str, String)>> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let end = rest.find(['=', ';']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let name = name.trim_end_matches([' ', '\t']);
        let Some(after) = after.strip_prefix('=') else {
            // A word without a value. Behind a quote it would not be one.
            if name.contains('"') {
                return None;
            }
            if after.is_empty() {
                return Some(all);
            }
            rest = after;
            continue;
        };
        if name.contains(['"', ' ', '\t']) {
            return None;
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = unquoted(quoted)?;
                let ends = after.is_empty() || after.starts_with([';', ' ', '\t']);
                ends.then_some((value, after))?
            }
            None => {
                let end = after.find([';', ' ', '\t']).unwrap_or(after.len());
                let (value, after) = after.split_at(end);
                if value.contains('"') {
                    return None;
                }
                (value.to_owned(), after)
            }
        };
        all.push((name, value));
        rest = after;
    }
}

/// A quoted text from behind its first quote, and what follows it; `None` where its second quote is missing.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return Some((value, text.get(at + 1..).unwrap_or(""))),
            letter => {
                // Browsers write a backslash for itself.
                if escaped && !matches!(letter, '"' | '\\') {
                    value.push('\\');
                }
                value.push(letter);
                escaped = false;
            }
        }
    }
    None
}
