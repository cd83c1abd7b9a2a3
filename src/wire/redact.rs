//! Masks credentials in what an upstream sends about a failure: `Incorrect API key provided: sk-…` must reach neither
//! the caller nor the log.
//!
//! Upstreams echo a key whole, in part (`sk-proj-abcd****wxyz`, "ending in wxyz"), and in whatever their answer is written
//! in. So the text is searched as it is, with its escapes undone, and as base64, hexadecimal and decimal bytes, each
//! inside of the other up to three deep; case and separators between letters and digits do not matter
//! (`redact/disguise.rs`, `redact/search.rs`). What is found is replaced in place: the rest of the answer stays byte for
//! byte as it was.

mod disguise;
mod search;

use std::cell::OnceCell;
use std::ops::Range;

use memchr::memmem;

use disguise::TextView;
use search::{PIECE, SecretPieces};

/// The replacement of a key.
const MASK: &[u8] = b"****";
/// Disguises inside of disguises.
const DEPTH: u8 = 3;
/// The most bytes that a search reads, as a multiple of the text, in all disguises together. Ordinary texts take one to
/// three times their size; only texts that are made for it take more.
const MAX_WORK: usize = 6;
/// The bytes that may be read of small texts in any case.
const MIN_WORK: usize = 64 * 1024;

/// The credentials of one call, or of several. It borrows them: nothing is copied but eight bytes at a time for the
/// search, once something is to be searched.
#[derive(Clone, Default)]
pub struct Redactor<'a> {
    secrets: Vec<Secret<'a>>,
    pieces: OnceCell<SecretPieces>,
}

#[derive(Clone, Copy)]
struct Secret<'a> {
    bytes: &'a [u8],
    known_by: KnownBy,
}

/// How much of a secret must be in a text to count as a find.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KnownBy {
    /// Any piece of it: it is random.
    Pieces,
    /// All of it: it is made of words (`sk-no-key-required`, `lm-studio`), whose pieces occur in ordinary texts.
    Whole,
    /// All of it, and only in texts, not in heads: it is no credential.
    WholeInTexts,
}

impl KnownBy {
    fn of_credential(bytes: &[u8]) -> Self {
        if is_words(bytes) {
            Self::Whole
        } else {
            Self::Pieces
        }
    }
}

/// What a search came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SearchResult {
    /// There is no trace of a credential.
    Clean,
    /// The text with every trace masked.
    Masked(Vec<u8>),
    /// The text has too many layers of disguises for its size to be searched to the end.
    TooDeep,
}

/// What has been found in a text.
struct SecretMatches {
    spans: Vec<Range<usize>>,
    /// The bytes that may still be read.
    work: usize,
    /// Whether that was not enough.
    too_deep: bool,
    /// Whether shortened keys and the ends of keys count too.
    parts: bool,
}

impl<'a> Redactor<'a> {
    /// Masks `key` and what it can be known by.
    pub fn new(key: Option<&'a str>) -> Self {
        let mut new = Self::default();
        let key = key.unwrap_or_default().as_bytes();
        new.add(key, KnownBy::of_credential(key));
        new
    }

    /// Masks a configured header's value too: of one that carries a credential, by its name, every part, also in
    /// pieces; of another one the value as it is, and only in texts, not in heads.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &'a [u8]) -> Self {
        if names_a_credential(name) {
            for part in parts(value) {
                // A word alone is a name (`x-auth-client: web`), not what is to be kept.
                if !part.iter().all(u8::is_ascii_alphabetic) || part.len() > LONGEST_WORD {
                    self.add(part, KnownBy::of_credential(part));
                }
            }
        } else {
            self.add(value, KnownBy::WholeInTexts);
        }
        self
    }

    /// Masks another credential too, also in pieces.
    #[must_use]
    pub fn with(mut self, credential: &'a str) -> Self {
        let bytes = credential.as_bytes();
        self.add(bytes, KnownBy::of_credential(bytes));
        self
    }

    fn add(&mut self, bytes: &'a [u8], known_by: KnownBy) {
        let known =
            |secret: &Secret<'_>| secret.known_by != KnownBy::WholeInTexts && secret.bytes == bytes;
        if bytes.len() >= PIECE && !self.secrets.iter().any(known) {
            self.secrets.push(Secret { bytes, known_by });
            self.pieces = OnceCell::new();
        }
    }

    /// Only what a header must not hold: credentials.
    #[must_use]
    pub fn for_heads(&self) -> Self {
        let mut heads = self.clone();
        let credential = |secret: &Secret<'_>| secret.known_by != KnownBy::WholeInTexts;
        heads.secrets.retain(credential);
        heads
    }

    /// Whether the text contains a piece of a credential, in any disguise. Shortened keys and ends of keys do not
    /// count.
    pub fn is_told_in(&self, text: &[u8]) -> bool {
        let found = self.found(text, false);
        found.too_deep || !found.spans.is_empty()
    }

    /// Searches a text.
    pub fn search(&self, text: &[u8]) -> SearchResult {
        let found = self.found(text, true);
        match found {
            SecretMatches { too_deep: true, .. } => SearchResult::TooDeep,
            SecretMatches { spans, .. } if spans.is_empty() => SearchResult::Clean,
            SecretMatches { spans, .. } => SearchResult::Masked(replaced(text, spans)),
        }
    }

    /// The text with every trace masked; `None` when there is none. Of a text that cannot be searched to the end nothing
    /// is left.
    pub fn masked(&self, text: &[u8]) -> Option<Vec<u8>> {
        match self.search(text) {
            SearchResult::Clean => None,
            SearchResult::Masked(masked) => Some(masked),
            SearchResult::TooDeep => Some(MASK.to_vec()),
        }
    }

    /// The same for text.
    pub fn masked_text(&self, text: &str) -> Option<String> {
        let masked = self.masked(text.as_bytes())?;
        Some(String::from_utf8_lossy(&masked).into_owned())
    }

    fn random(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        let random = |secret: &&Secret<'_>| secret.known_by == KnownBy::Pieces;
        self.secrets
            .iter()
            .filter(random)
            .map(|secret| secret.bytes)
    }

    fn found(&self, text: &[u8], parts: bool) -> SecretMatches {
        let mut found = SecretMatches {
            spans: Vec::new(),
            work: MIN_WORK.max(text.len().saturating_mul(MAX_WORK)),
            too_deep: false,
            parts,
        };
        if !self.secrets.is_empty() && text.len() >= search::LEAST {
            self.explore(&TextView::plain(text), 0, &mut found);
        }
        found
    }

    /// Searches a text and all that it can be read as.
    fn explore(&self, view: &TextView<'_>, depth: u8, found: &mut SecretMatches) {
        let Some(work) = found.work.checked_sub(view.bytes.len()) else {
            found.too_deep = true;
            return;
        };
        found.work = work;
        let pieces = self.pieces.get_or_init(|| SecretPieces::of(self.random()));
        pieces.find(&view.bytes, |first, last| {
            found.add(view.place(first, last));
        });
        self.find_parts(view, found);
        if depth == DEPTH {
            return;
        }
        if let Some(next) = view.unescaped() {
            self.explore(&next, depth + 1, found);
        }
        for next in view.decoded() {
            if found.too_deep {
                return;
            }
            self.explore(&next, depth + 1, found);
        }
    }

    /// What is left of shortened keys, and whole values that are no credentials.
    fn find_parts(&self, view: &TextView<'_>, found: &mut SecretMatches) {
        for secret in &self.secrets {
            let parts = match secret.known_by {
                KnownBy::Pieces if found.parts => {
                    let mut parts = search::beside_masks(secret.bytes, &view.bytes);
                    parts.extend(search::ends(secret.bytes, &view.bytes));
                    parts
                }
                KnownBy::Pieces => continue,
                KnownBy::WholeInTexts if !found.parts => continue,
                KnownBy::Whole | KnownBy::WholeInTexts => {
                    let whole = memmem::find_iter(&view.bytes, secret.bytes);
                    whole.map(|at| at..at + secret.bytes.len()).collect()
                }
            };
            for part in parts {
                found.add(view.place(part.start, part.end - 1));
            }
        }
    }
}

impl SecretMatches {
    /// Neighbours become one: a key that is repeated all over a text has as many pieces as the text has bytes.
    fn add(&mut self, span: Range<usize>) {
        match self.spans.last_mut() {
            Some(last) if (last.start..=last.end).contains(&span.start) => {
                last.end = last.end.max(span.end);
            }
            _ => self.spans.push(span),
        }
    }
}

/// Whether a header or a parameter of a URL carries a credential, by the words of its name: `x-api-key` and `accessToken`
/// do, `x-portkey-custom-host` does not.
pub fn names_a_credential(name: &str) -> bool {
    const WORDS: [&str; 6] = ["auth", "key", "keys", "pass", "sig", "pwd"];
    /// Also as the end of a word.
    const ENDS: [&str; 14] = [
        "apikey",
        "accesskey",
        "secretkey",
        "token",
        "tokens",
        "secret",
        "cookie",
        "credential",
        "credentials",
        "password",
        "passwd",
        "authorization",
        "authentication",
        "signature",
    ];
    let ends = |word: &str| ENDS.iter().any(|end| word.ends_with(end));
    words_of(name).any(|word| WORDS.contains(&word.as_str()) || ends(&word))
}

/// The words of a name, in small letters. A capital letter behind a small one begins a word, as does what follows a sign.
fn words_of(name: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for letter in name.chars() {
        let begins = !letter.is_ascii_alphanumeric() || (small && letter.is_ascii_uppercase());
        if begins {
            words.push(String::new());
        }
        small = letter.is_ascii_lowercase();
        if letter.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(letter.to_ascii_lowercase());
        }
    }
    words.into_iter().filter(|word| !word.is_empty())
}

/// The longest words, in letters; longer runs are random.
const LONGEST_WORD: usize = 12;

/// Whether a credential is made of words, as placeholders are where a server asks for none: small letters alone, in
/// groups of the length of words.
fn is_words(bytes: &[u8]) -> bool {
    let groups = bytes.split(|byte| matches!(byte, b'-' | b'_' | b'.' | b' '));
    let is_word =
        |word: &[u8]| word.len() <= LONGEST_WORD && word.iter().all(u8::is_ascii_lowercase);
    let mut groups = groups;
    groups.all(is_word)
}

/// The text without its escapes, as a part of a URL or of JSON may have them; `None` when it has none.
pub fn unescaped(text: &str) -> Option<String> {
    let view = TextView::plain(text.as_bytes()).unescaped()?;
    String::from_utf8(view.bytes.into_owned()).ok()
}

/// The parts of a header's value that can be credentials: its words except a scheme in front (`Bearer abc`), and of
/// each word the parts between `;` and `,`, with their names (`session=abc`) and without.
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

fn replaced(text: &[u8], mut spans: Vec<Range<usize>>) -> Vec<u8> {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut after_mask = false;
    for span in spans {
        let between = text.get(at..span.start).unwrap_or_default();
        let between = between.get(..whole_escapes(between)).unwrap_or_default();
        if span.end <= at {
            continue;
        }
        if !after_mask || !between.is_empty() {
            out.extend_from_slice(between);
            mask_like(text.get(span.clone()).unwrap_or_default(), &mut out);
        }
        after_mask = true;
        at = at.max(span.end);
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out
}

/// The length of a text without the beginning of an escape at its end (`\`, `\u00`): what is left in front of a mask must
/// not make an escape of it.
fn whole_escapes(text: &[u8]) -> usize {
    /// The longest incomplete escape: `\u00e`.
    const LONGEST: usize = 5;
    let tail = text.len().saturating_sub(LONGEST);
    let last = text.iter().skip(tail).rposition(|byte| *byte == b'\\');
    let Some(at) = last.map(|at| tail + at) else {
        return text.len();
    };
    let before = text.get(..=at).unwrap_or_default();
    let run = before.iter().rev().take_while(|byte| **byte == b'\\');
    let opens = run.count() % 2 == 1;
    let rest = text.get(at + 1..).unwrap_or_default();
    match (opens, rest) {
        (true, [] | [b'u', ..]) => at,
        _ => text.len(),
    }
}

/// A mask as wide as the secret: the letters of UTF-16 and UTF-32 have NULs between them.
fn mask_like(secret: &[u8], out: &mut Vec<u8>) {
    let rest = secret.get(1..).unwrap_or_default();
    let wide = rest.iter().take(3).take_while(|byte| **byte == 0).count();
    for (at, star) in MASK.iter().enumerate() {
        let nuls = if at == 0 { 0 } else { wide };
        out.extend(std::iter::repeat_n(0, nuls));
        out.push(*star);
    }
}

#[cfg(test)]
mod tests;
