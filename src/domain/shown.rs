//! Characters that a person does not see, or that change what is seen around them: they are escaped wherever text goes to
//! a terminal or a log.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character is hidden or steers what is shown: control characters; marks of direction, their embeddings,
/// overrides and isolates (Unicode Standard Annex 9); characters without width; line and paragraph separators; the byte
/// order mark; variation selectors and tags (U+E0000 and on), which can hide text.
pub const fn is_hidden(letter: char) -> bool {
    matches!(letter,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// The text with such characters as `\u{202e}`. Line ends and tabs stay if `lines`.
pub fn plain(text: &str, lines: bool) -> Cow<'_, str> {
    let kept = |letter: char| lines && matches!(letter, '\n' | '\t');
    escaped(text, |letter| is_hidden(letter) && !kept(letter), braced)
}

/// The same but for characters of ASCII, which stay: a line that was made for a terminal may have colours.
pub fn beyond_ascii(text: &str) -> Cow<'_, str> {
    escaped(text, is_far, braced)
}

/// The same in a JSON text, where such characters beyond ASCII occur only in strings: escaped as JSON escapes them.
pub fn json(text: &str) -> Cow<'_, str> {
    escaped(text, is_far, |out, letter| {
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // A text takes everything.
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

fn is_far(letter: char) -> bool {
    !letter.is_ascii() && is_hidden(letter)
}

fn braced(out: &mut String, letter: char) {
    // A text takes everything.
    let _ = write!(out, "\\u{{{:x}}}", u32::from(letter));
}

fn escaped(
    text: &str,
    escapes: impl Fn(char) -> bool,
    write: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    if !text.contains(&escapes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if escapes(letter) {
            write(&mut out, letter);
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

/// Whether some bytes may hold such a character beyond ASCII: a quick look at lines that are nearly always clean. All of
/// them begin with one of these bytes in UTF-8.
pub fn may_hide(bytes: &[u8]) -> bool {
    // ASCII is recognised many bytes at a time.
    !bytes.is_ascii()
        && bytes
            .iter()
            .any(|byte| matches!(byte, 0xc2 | 0xcd | 0xd8 | 0xe1..=0xe3 | 0xef | 0xf0 | 0xf3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_turns_or_hides_text_is_escaped() {
        for letter in [
            '\u{202a}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{200b}',
            '\u{200f}',
            '\u{feff}',
            '\u{61c}',
            '\u{180e}',
            '\u{2028}',
            '\u{2029}',
            '\u{e0001}',
            '\u{e007f}',
            '\u{2060}',
            '\u{1b}',
            '\u{9b}',
            '\n',
        ] {
            let text = format!("a{letter}b");
            let escaped = format!("a\\u{{{:x}}}b", u32::from(letter));
            assert_eq!(plain(&text, false), escaped);
        }
        for text in ["gpt-4o", "Zoë", "模型", "مدل", "👍🏽", "naïve – “quoted”…"]
        {
            assert_eq!(plain(text, false), text);
        }
        assert_eq!(plain("a\n\tb\r", true), "a\n\tb\\u{d}");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left_and_the_quick_look_misses_none(text in any::<String>()) {
            let shown = plain(&text, false);
            prop_assert!(!shown.contains(is_hidden));
            let hides = text.contains(|c| is_hidden(c) && !c.is_ascii());
            prop_assert!(!hides || may_hide(text.as_bytes()));
        }
    }
}
