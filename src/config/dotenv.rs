//! Reads `.env`, as programs share it: a line that can be read as `NAME=value` is taken, any other one is skipped.
//!
//! Own code, because `dotenvy` replaces `$NAME` in values, which a key may contain, refuses values with spaces and
//! quotes in them, and gives up on the whole file at the first byte that is not UTF-8. The rules are those that the
//! parsers of other languages have in common:
//!
//! - `export ` before the name and blanks around `=` are left out. A name is letters, digits, `_`, `-` and `.`, and
//!   does not begin with a digit.
//! - A value without quotes ends at the line's end or before ` #`, and loses the blanks around it. Everything else in
//!   it stays as it is: `$`, backslashes, and quotes in the middle.
//! - Quotes around a whole value are left out: `'…'` and `` `…` `` with nothing changed in between, `"…"` with the
//!   escapes `\n`, `\r`, `\t`, `\"`, `\\`, `\$` and `` \` ``. A quoted value may go on over several lines.
//! - What is no UTF-8, or holds a NUL, costs its own line only.

use zeroize::Zeroizing;

/// What a file says.
#[derive(Default)]
pub(super) struct Dotenv {
    /// Names and values in their order. The values may be secrets.
    pub(super) entries: Vec<(String, Zeroizing<String>)>,
    /// The numbers, from 1, of the lines that say nothing that can be read.
    pub(super) skipped: Vec<usize>,
}

/// Reads the bytes of a file.
pub(super) fn parse(bytes: &[u8]) -> Dotenv {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // `None`: it cannot be read as text.
    let lines: Vec<Option<&str>> = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .map(|line| std::str::from_utf8(line).ok())
        .map(|line| line.filter(|line| !line.contains('\0')))
        .collect();
    let mut file = Dotenv::default();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let following = lines.get(at + 1..).unwrap_or_default();
        let mut more = 0;
        match line.map(|line| read(line, following)) {
            Some(DotenvLine::Nothing) => {}
            Some(DotenvLine::Entry(name, value, lines)) => {
                file.entries.push((name.to_owned(), value));
                more = lines;
            }
            Some(DotenvLine::Garbage) | None => file.skipped.push(at + 1),
        }
        at += 1 + more;
    }
    file
}

/// What a line says.
enum DotenvLine<'a> {
    /// It is empty, or a comment.
    Nothing,
    /// A name and its value, and the number of further lines that the value spans.
    Entry(&'a str, Zeroizing<String>, usize),
    /// Nothing that can be read.
    Garbage,
}

fn read<'a>(line: &'a str, following: &[Option<&str>]) -> DotenvLine<'a> {
    // Blanks at its end may belong to a value in quotes.
    let line = line.trim_start();
    if line.is_empty() || line.starts_with('#') {
        return DotenvLine::Nothing;
    }
    let exported = line
        .strip_prefix("export")
        .filter(|rest| rest.starts_with(char::is_whitespace));
    let line = exported.map_or(line, str::trim_start);
    let Some((name, rest)) = line.split_once('=') else {
        return DotenvLine::Garbage;
    };
    let name = name.trim_end();
    if !is_name(name) {
        return DotenvLine::Garbage;
    }
    let text = rest.trim_start();
    let quote = text
        .chars()
        .next()
        .filter(|first| matches!(first, '"' | '\'' | '`'));
    let Some(quote) = quote else {
        return DotenvLine::Entry(name, plain(rest), 0);
    };
    match quoted(text.get(1..).unwrap_or_default(), quote, following) {
        Quoted::Whole(value, more) => DotenvLine::Entry(name, value, more),
        Quoted::Part => DotenvLine::Entry(name, plain(rest), 0),
        Quoted::Open => DotenvLine::Garbage,
    }
}

fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.chars().all(legal) && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// A value without quotes around it: up to ` #`.
fn plain(rest: &str) -> Zeroizing<String> {
    let mut before = None;
    let mut end = rest.len();
    for (at, c) in rest.char_indices() {
        if c == '#' && before.is_some_and(char::is_whitespace) {
            end = at;
            break;
        }
        before = Some(c);
    }
    let value = rest.get(..end).unwrap_or_default();
    Zeroizing::new(value.trim().to_owned())
}

/// What begins with a quote.
enum Quoted {
    /// The value between the quotes, and the number of further lines that it spans.
    Whole(Zeroizing<String>, usize),
    /// Text follows the closing quote: the quotes are a part of the value (`"a" or "b"`).
    Part,
    /// The quote is never closed.
    Open,
}

/// A value goes on for no more lines than this.
const MOST_LINES: usize = 1000;

/// Reads on from behind the opening quote.
fn quoted(first: &str, quote: char, following: &[Option<&str>]) -> Quoted {
    let following = following.get(..MOST_LINES).unwrap_or(following);
    let mut value = Zeroizing::new(String::with_capacity(first.len()));
    for (more, line) in std::iter::once(Some(first))
        .chain(following.iter().copied())
        .enumerate()
    {
        let Some(line) = line else {
            // A value of several lines is not put together around one that cannot be read.
            return Quoted::Open;
        };
        if more == 1 {
            // With room for all of it: a text that grows leaves copies of itself behind.
            let rest = following.iter().flatten().map(|line| line.len() + 1);
            let room = first.len() + 1 + rest.sum::<usize>();
            let mut larger = Zeroizing::new(String::with_capacity(room));
            larger.push_str(&value);
            value = larger;
        }
        if more > 0 {
            value.push('\n');
        }
        if let Some(rest) = up_to(line, quote, &mut value) {
            let rest = rest.trim();
            return match (rest.is_empty() || rest.starts_with('#'), more) {
                (true, _) => Quoted::Whole(value, more),
                (false, 0) => Quoted::Part,
                // That quote belongs to another line: this one was never closed.
                (false, _) => Quoted::Open,
            };
        }
    }
    Quoted::Open
}

/// Appends the text before the closing quote, and returns the text after it; `None`: the quote is not in this line.
fn up_to<'a>(line: &'a str, quote: char, value: &mut String) -> Option<&'a str> {
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return line.get(at + 1..);
        }
        if c != '\\' || quote != '"' {
            value.push(c);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => value.push('\n'),
            Some((_, 'r')) => value.push('\r'),
            Some((_, 't')) => value.push('\t'),
            Some((_, escaped @ ('"' | '\\' | '$' | '`'))) => value.push(escaped),
            Some((_, other)) => {
                value.push('\\');
                value.push(other);
            }
            None => value.push('\\'),
        }
    }
    None
}

/// Names the lines that were skipped: `line 3 of .env was skipped: …`. `None` when there are none.
pub(super) fn told(skipped: &[usize]) -> Option<String> {
    /// The number of lines that are named.
    const MOST: usize = 8;
    let numbers: Vec<String> = skipped.iter().take(MOST).map(usize::to_string).collect();
    let (last, others) = numbers.split_last()?;
    let left = skipped.len() - numbers.len();
    let lines = match (others.is_empty(), left) {
        (true, _) => format!("line {last} of .env was skipped: it is"),
        (false, 0) => {
            let others = others.join(", ");
            format!("lines {others} and {last} of .env were skipped: they are")
        }
        (false, left) => {
            let all = numbers.join(", ");
            format!("lines {all} and {left} more of .env were skipped: they are")
        }
    };
    Some(format!("{lines} not NAME=value"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(text: &str) -> Vec<(String, String)> {
        let entries = parse(text.as_bytes()).entries.into_iter();
        entries
            .map(|(name, value)| (name, value.as_str().to_owned()))
            .collect()
    }

    fn value(written: &str) -> Option<String> {
        let mut entries = entries(&format!("A={written}"));
        assert!(entries.len() <= 1, "{written}");
        entries.pop().map(|(_, value)| value)
    }

    #[test]
    fn values_mean_what_they_mean_elsewhere() {
        for (written, meant) in [
            ("", ""),
            (" ", ""),
            ("x", "x"),
            ("  x y  ", "x y"),
            ("x # comment", "x"),
            ("x\t#comment", "x"),
            ("x#y", "x#y"),
            (" # comment", ""),
            ("#x", "#x"),
            ("a=b=c", "a=b=c"),
            ("'x # y'", "x # y"),
            ("'a\\nb'", "a\\nb"),
            ("\"a\\nb\\t\\\"\\\\\\$\\z\"", "a\nb\t\"\\$\\z"),
            ("\"\"", ""),
            ("`a \"b\" 'c'`", "a \"b\" 'c'"),
            ("\"a\"#comment", "a"),
            ("\"a\" b", "\"a\" b"),
            ("'a''b'", "'a''b'"),
            ("$HOME ${X} $(y)", "$HOME ${X} $(y)"),
            ("C:\\new\\table", "C:\\new\\table"),
            ("\"one\ntwo\"", "one\ntwo"),
            ("ключ", "ключ"),
        ] {
            assert_eq!(value(written).as_deref(), Some(meant), "{written}");
        }
        assert_eq!(value("\"never closed"), None);
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_its_own_line_only() {
        let file = parse(b"A='tis\nB=x\nC=\"y\"\nD=\"two\nlines\"\nE=z");
        let names: Vec<&str> = file.entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["B", "C", "D", "E"]);
        assert_eq!(file.skipped, [1]);
        let file = parse(b"A=\"open\nB=x\nC=\"y\"\n");
        assert_eq!((file.entries.len(), file.skipped), (2, vec![1]));
    }

    #[test]
    fn skipped_lines_are_told_by_number() {
        assert_eq!(told(&[]), None);
        let text = |skipped: &[usize]| told(skipped).unwrap();
        assert!(text(&[3]).starts_with("line 3 of .env was skipped"));
        assert!(text(&[3, 7, 9]).starts_with("lines 3, 7 and 9 of .env were skipped"));
        let many: Vec<usize> = (1..=20).collect();
        assert!(text(&many).starts_with("lines 1, 2, 3, 4, 5, 6, 7, 8 and 12 more of .env"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let file = parse(&bytes);
            let lines = bytes.split(|byte| *byte == b'\n').count();
            prop_assert!(file.entries.len() + file.skipped.len() <= lines);
            prop_assert!(file.skipped.iter().all(|line| (1..=lines).contains(line)));
        }

        #[test]
        fn what_is_written_in_quotes_comes_back(text in "[^\0\r]{0,60}") {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(entries(&format!("A=\"{escaped}\"\nB=1")), [("A".to_owned(), text.clone()), ("B".to_owned(), "1".to_owned())]);
            if !text.contains('\'') {
                prop_assert_eq!(value(&format!("'{text}'")), Some(text));
            }
        }

        #[test]
        fn foreign_lines_never_take_a_later_one_along(line in "[^\n\"'`]{0,60}", export in any::<bool>()) {
            let export = if export { "export " } else { "" };
            let all = entries(&format!("{line}\n{export}KEY=sk-1\n"));
            prop_assert_eq!(all.last(), Some(&("KEY".to_owned(), "sk-1".to_owned())));
        }
    }
}
