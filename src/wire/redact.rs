//! Masks credentials in what an upstream says about a failure: `Incorrect API key provided: sk-…` must reach neither
//! the caller nor the log.
//!
//! Upstreams echo a key whole, in part (`sk-proj-abcd****wxyz`, "ending in wxyz"), and in whatever escapes their
//! answer is written in. So the text is searched as it is and with its escapes undone, up to three deep (JSON inside
//! JSON), and what is found is replaced in place: the rest of the answer stays byte for byte as it was.

use std::ops::Range;

use memchr::memmem;

/// What stands in a key's place.
const MASK: &[u8] = b"****";
/// So many bytes of a key in a row give it away; shorter keys are no secrets (`none`, `ollama`).
const PIECE: usize = 8;
/// A key at least so long is also known by the end of it, as people name keys.
const LONG: usize = 16;
/// The shortest end that is known.
const END: usize = 4;
/// Escapes inside escapes.
const DEPTH: usize = 3;

/// The credentials of one call. It borrows them: nothing is copied.
#[derive(Clone, Default)]
pub struct Redactor<'a> {
    secrets: Vec<Secret<'a>>,
}

#[derive(Clone, Copy)]
struct Secret<'a> {
    bytes: &'a [u8],
    /// Also masked when only a piece of it is there.
    credential: bool,
}

/// One character of the text, as read, and where it is written.
#[derive(Clone, Copy)]
struct Unit {
    byte: u8,
    start: usize,
    end: usize,
}

impl<'a> Redactor<'a> {
    /// Masks `key` and what it can be known by.
    pub fn new(key: Option<&'a str>) -> Self {
        let mut new = Self::default();
        new.add(key.unwrap_or_default().as_bytes(), true);
        new
    }

    /// Masks a configured header's value too: of one that carries a credential, by its name, every part, also in
    /// pieces; of another one the value as it is, and only in texts, not in heads.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &'a [u8]) -> Self {
        let telling = [
            "auth",
            "key",
            "token",
            "secret",
            "cookie",
            "credential",
            "password",
        ];
        if telling.iter().any(|part| name.contains(part)) {
            for part in parts(value) {
                self.add(part, true);
            }
        } else {
            self.add(value, false);
        }
        self
    }

    fn add(&mut self, bytes: &'a [u8], credential: bool) {
        let known = |secret: &Secret<'_>| secret.credential && secret.bytes == bytes;
        if bytes.len() >= PIECE && !self.secrets.iter().any(known) {
            self.secrets.push(Secret { bytes, credential });
        }
    }

    /// Only what a header must not hold: credentials.
    #[must_use]
    pub fn for_heads(&self) -> Self {
        let mut heads = self.clone();
        heads.secrets.retain(|secret| secret.credential);
        heads
    }

    /// Whether a credential stands there whole and as it is.
    pub fn is_in(&self, text: &[u8]) -> bool {
        let mut credentials = self.secrets.iter().filter(|secret| secret.credential);
        credentials.any(|secret| memmem::find(text, secret.bytes).is_some())
    }

    /// The text with every trace masked; `None` when there is none.
    pub fn masked(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut spans = Vec::new();
        let mut layer = plain(text);
        for _ in 0..=DEPTH {
            let bytes: Vec<u8> = layer.iter().map(|unit| unit.byte).collect();
            for secret in &self.secrets {
                let found = secret.find(&bytes).into_iter();
                spans.extend(found.filter_map(|found| {
                    let (first, last) = (layer.get(found.start)?, layer.get(found.end - 1)?);
                    Some(first.start..last.end)
                }));
            }
            match unescaped(&layer) {
                Some(next) if !self.secrets.is_empty() => layer = next,
                _ => break,
            }
        }
        (!spans.is_empty()).then(|| replaced(text, spans))
    }

    /// The same for text.
    pub fn masked_text(&self, text: &str) -> Option<String> {
        let masked = self.masked(text.as_bytes())?;
        Some(String::from_utf8_lossy(&masked).into_owned())
    }
}

/// The parts of a header's value that can be credentials: its words but for a scheme in front (`Bearer abc`), and of
/// each word what stands between `;` and `,`, with its name (`session=abc`) and without.
fn parts(value: &[u8]) -> Vec<&[u8]> {
    let mut words: Vec<&[u8]> = value.split(|byte| *byte == b' ').collect();
    let is_scheme = |word: &&[u8]| word.iter().all(|b| b.is_ascii_alphabetic() || *b == b'-');
    if words.len() > 1 && words.first().is_some_and(is_scheme) {
        words.remove(0);
    }
    let mut parts = Vec::new();
    for word in words {
        parts.push(trimmed(word, b";,"));
        for part in word.split(|byte| matches!(byte, b';' | b',')) {
            parts.push(part);
            if let Some(at) = part.iter().position(|byte| *byte == b'=') {
                parts.push(trimmed(part.get(at + 1..).unwrap_or_default(), b"\""));
            }
        }
    }
    parts
}

fn trimmed<'a>(mut text: &'a [u8], ends: &[u8]) -> &'a [u8] {
    while let [rest @ .., last] = text
        && ends.contains(last)
    {
        text = rest;
    }
    while let [first, rest @ ..] = text
        && ends.contains(first)
    {
        text = rest;
    }
    text
}

impl Secret<'_> {
    fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        if !self.credential {
            let found = memmem::find_iter(text, self.bytes);
            return found.map(|at| at..at + self.bytes.len()).collect();
        }
        let mut found = self.pieces(text);
        found.extend(self.beside_masks(text));
        found.extend(self.ends(text));
        found
    }

    /// Every run of so many of its bytes.
    fn pieces(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut of_key = [false; 256];
        for byte in self.bytes {
            if let Some(entry) = of_key.get_mut(usize::from(*byte)) {
                *entry = true;
            }
        }
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        while let Some(window) = text.get(at..at + PIECE) {
            let foreign = |byte: &u8| !of_key.get(usize::from(*byte)).copied().unwrap_or(false);
            // Behind a byte that is not in the key, no piece can reach over it.
            if let Some(last) = window.iter().rposition(foreign) {
                at += last + 1;
                continue;
            }
            if memmem::find(self.bytes, window).is_some() {
                match found.last_mut() {
                    Some(before) if before.end >= at => before.end = at + PIECE,
                    _ => found.push(at..at + PIECE),
                }
            }
            at += 1;
        }
        found
    }

    /// Its beginning in front of a run of stars or dots, its end behind one.
    fn beside_masks(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(from) = text
            .get(at..)
            .and_then(|rest| rest.iter().position(is_mask))
        {
            let start = at + from;
            let rest = text.get(start..).unwrap_or_default();
            let end = start
                + rest
                    .iter()
                    .position(|byte| !is_mask(byte))
                    .unwrap_or(rest.len());
            at = end;
            if end - start < 2 {
                continue;
            }
            let before = text.get(..start).unwrap_or_default();
            let after = text.get(end..).unwrap_or_default();
            let lengths = || (2..=self.bytes.len()).rev();
            let head = lengths().find(|length| {
                *length > 2
                    && self
                        .bytes
                        .get(..*length)
                        .is_some_and(|head| before.ends_with(head))
            });
            let tail = lengths().find(|length| {
                let tail = self.bytes.get(self.bytes.len() - length..);
                let ends = after
                    .get(*length)
                    .is_none_or(|next| !next.is_ascii_alphanumeric());
                ends && tail.is_some_and(|tail| after.starts_with(tail))
            });
            if head.is_some() || tail.is_some() {
                found.push(start - head.unwrap_or(0)..end + tail.unwrap_or(0));
            }
        }
        found
    }

    /// Its end as a word of its own. Numbers and JSON's own words are not touched: a document must stay one.
    fn ends(&self, text: &[u8]) -> Vec<Range<usize>> {
        if self.bytes.len() < LONG {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut start = 0;
        for word in text.split(|byte| !byte.is_ascii_alphanumeric()) {
            let fits = (END..PIECE).contains(&word.len()) && self.bytes.ends_with(word);
            let spared = word.iter().all(u8::is_ascii_digit)
                || [&b"true"[..], b"false", b"null"].contains(&word);
            if fits && !spared {
                found.push(start..start + word.len());
            }
            start += word.len() + 1;
        }
        found
    }
}

/// Stars, dots, and the bytes of `•` and `…`.
fn is_mask(byte: &u8) -> bool {
    matches!(byte, b'*' | b'.' | 0xe2 | 0x80 | 0xa2 | 0xa6)
}

fn plain(text: &[u8]) -> Vec<Unit> {
    let units = text.iter().enumerate().map(|(at, byte)| Unit {
        byte: *byte,
        start: at,
        end: at + 1,
    });
    units.collect()
}

/// The same with one layer of escapes undone; `None` when there are none.
fn unescaped(units: &[Unit]) -> Option<Vec<Unit>> {
    if !units
        .iter()
        .any(|unit| matches!(unit.byte, b'\\' | b'%' | b'&' | 0))
    {
        return None;
    }
    let mut out = Vec::with_capacity(units.len());
    let mut rest = units;
    let mut any = false;
    while let Some(first) = rest.first() {
        let (byte, length) = escape(rest);
        let last = rest.get(length - 1).unwrap_or(first);
        if let Some(byte) = byte {
            out.push(Unit {
                byte,
                start: first.start,
                end: last.end,
            });
        }
        any |= length > 1 || byte.is_none();
        rest = rest.get(length..).unwrap_or_default();
    }
    any.then_some(out)
}

/// What the text begins with, and in how many units it is written.
fn escape(text: &[Unit]) -> (Option<u8>, usize) {
    let byte = |at: usize| text.get(at).map(|unit| unit.byte);
    let literal = (byte(0), 1);
    match byte(0) {
        // UTF-16 of plain ASCII has one after or before each character.
        Some(0) => (None, 1),
        Some(b'\\') => match byte(1) {
            Some(escaped @ (b'"' | b'\\' | b'/')) => (Some(escaped), 2),
            Some(b'u') => match number(text.get(2..6), 16) {
                Some(0x2022 | 0x2026) => (Some(b'*'), 6),
                Some(code) => u8::try_from(code).map_or(literal, |code| (Some(code), 6)),
                None => literal,
            },
            _ => literal,
        },
        Some(b'%') => match number(text.get(1..3), 16) {
            Some(code) => (u8::try_from(code).ok(), 3),
            None => literal,
        },
        Some(b'&') => entity(text).unwrap_or(literal),
        _ => literal,
    }
}

/// `&amp;`, `&#43;`, `&#x2b;`.
fn entity(text: &[Unit]) -> Option<(Option<u8>, usize)> {
    const LONGEST: usize = 8;
    let length = text
        .iter()
        .take(LONGEST)
        .position(|unit| unit.byte == b';')?;
    let name: Vec<u8> = text.get(1..length)?.iter().map(|unit| unit.byte).collect();
    let code = match name.as_slice() {
        b"amp" => Some(b'&'),
        b"lt" => Some(b'<'),
        b"gt" => Some(b'>'),
        b"quot" => Some(b'"'),
        b"apos" => Some(b'\''),
        [b'#', b'x' | b'X', ..] => u8::try_from(number(text.get(3..length), 16)?).ok(),
        [b'#', ..] => u8::try_from(number(text.get(2..length), 10)?).ok(),
        _ => None,
    };
    Some((Some(code?), length + 1))
}

fn number(digits: Option<&[Unit]>, base: u32) -> Option<u32> {
    let digits = digits.filter(|digits| !digits.is_empty())?;
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = char::from(digit.byte).to_digit(base)?;
        number.checked_mul(base)?.checked_add(digit)
    })
}

fn replaced(text: &[u8], mut spans: Vec<Range<usize>>) -> Vec<u8> {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for span in spans {
        if let Some(between) = text.get(at..span.start)
            && (at == 0 || !between.is_empty())
        {
            out.extend_from_slice(between);
            out.extend_from_slice(MASK);
        }
        at = at.max(span.end);
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests;
