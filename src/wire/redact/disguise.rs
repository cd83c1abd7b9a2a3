//! The disguises in which a text may hold a key: escapes, base64, hexadecimal and decimal bytes. Each is undone into
//! another text that remembers where in the first one each of its bytes is written.

use std::borrow::Cow;
use std::ops::Range;

/// Marks a gap in a decoded text: no match reaches over it.
pub(super) const BREAK: u8 = b'"';
/// Replaces a character beyond Latin-1: no part of a key, and searches pass over it.
const FAR: u8 = 0x80;
/// Shorter stretches of readable bytes in a decoded text are chance, and less than a piece of a key.
const READABLE: usize = 8;
/// In fewer symbols a piece of a key cannot be written: eight bytes are eleven of base64.
const SHORTEST: usize = 11;
/// Marks in the tables below: passed over, and the end of a run.
const SKIP: u8 = 0xfe;
const END: u8 = 0xff;

/// A text, and where each of its bytes is written in the text that was searched first.
pub(super) struct TextView<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// Start and end of each byte's writing; `None` for the first text itself.
    places: Option<Vec<(u32, u32)>>,
}

impl<'a> TextView<'a> {
    /// The text itself.
    pub(super) fn plain(text: &'a [u8]) -> Self {
        Self {
            bytes: Cow::Borrowed(text),
            places: None,
        }
    }

    fn empty() -> TextView<'static> {
        TextView {
            bytes: Cow::Owned(Vec::new()),
            places: Some(Vec::new()),
        }
    }

    /// Where the bytes from `first` to `last`, both included, are written.
    pub(super) fn place(&self, first: usize, last: usize) -> Range<usize> {
        match &self.places {
            None => first..last + 1,
            Some(places) => {
                let start = places.get(first).map_or(0, |place| place.0);
                let end = places.get(last).map_or(0, |place| place.1);
                start as usize..end as usize
            }
        }
    }

    fn push(&mut self, byte: u8, place: &Range<usize>) {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.bytes.to_mut().push(byte);
        if let Some(places) = &mut self.places {
            places.push((narrow(place.start), narrow(place.end)));
        }
    }

    fn truncate(&mut self, length: usize) {
        self.bytes.to_mut().truncate(length);
        if let Some(places) = &mut self.places {
            places.truncate(length);
        }
    }

    /// The text with one layer of escapes undone; `None` when there are none.
    pub(super) fn unescaped(&self) -> Option<TextView<'static>> {
        let bytes: &[u8] = &self.bytes;
        let first = bytes.iter().position(is_escape)?;
        let mut out = Self::empty();
        let mut any = false;
        for (at, byte) in bytes.iter().enumerate().take(first) {
            out.push(*byte, &self.place(at, at));
        }
        let mut at = first;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (byte, length) = escape(rest);
            // UTF-16 of plain ASCII has a NUL after or before each character.
            if byte != 0 || length > 1 {
                out.push(byte, &self.place(at, at + length - 1));
            }
            any |= byte == 0 || length > 1;
            at += length;
        }
        any.then_some(out)
    }

    /// All readable stretches of what the text is when it is taken for base64, hexadecimal or decimal bytes.
    pub(super) fn decoded(&self) -> impl Iterator<Item = TextView<'static>> + '_ {
        // Dashes and low lines are symbols of the URL alphabet, or separate groups.
        let grouped = self.bytes.iter().any(|byte| matches!(byte, b'-' | b'_'));
        let tables = [Some(&SYMBOLS), grouped.then_some(&GROUPED)];
        let tables = tables.into_iter().flatten();
        // A run may begin anywhere within a group of four symbols or of two digits.
        let base64 =
            tables.flat_map(|table| (0..4).map(move |skip| SymbolCode::new(table, 6, skip)));
        let hexadecimal = (0..2).map(|skip| SymbolCode::new(&DIGITS, 4, skip));
        let all = base64.chain(hexadecimal);
        let all = all.filter(|_| self.bytes.len() >= SHORTEST);
        let all = all.filter_map(|code| self.bits(code));
        let decimal = std::iter::once_with(|| self.decimal());
        all.chain(decimal).filter(|view| !view.bytes.is_empty())
    }

    /// Decodes symbols; `None` when nothing readable comes of it. That is so for nearly all texts, so a first pass checks
    /// it and allocates nothing.
    fn bits(&self, code: SymbolCode) -> Option<TextView<'static>> {
        let (mut run, mut longest) = (0_usize, 0_usize);
        self.each_decoded(code, |byte, _, _| {
            run = if byte.is_some_and(is_readable) {
                run + 1
            } else {
                0
            };
            longest = longest.max(run);
        });
        if longest < READABLE {
            return None;
        }
        let mut out = ReadableText::new();
        self.each_decoded(code, |byte, first, last| match byte {
            Some(byte) => out.push(byte, || self.place(first, last)),
            None => out.stop(),
        });
        Some(out.finish())
    }

    /// Calls for each decoded byte, with the places of its first and its last symbol, and with `None` where a run ends.
    fn each_decoded(&self, code: SymbolCode, mut each: impl FnMut(Option<u8>, usize, usize)) {
        let SymbolCode { table, width, skip } = code;
        let (mut held, mut bits, mut left, mut before) = (0_u32, 0, skip, 0);
        for (at, byte) in self.bytes.iter().enumerate() {
            let value = match look_up(table, *byte) {
                SKIP => continue,
                // `0x73`: the digit before the `x` is not of the byte.
                b'x' => {
                    (bits, left) = (0, skip);
                    continue;
                }
                END => {
                    each(None, at, at);
                    (bits, left) = (0, skip);
                    continue;
                }
                _ if left > 0 => {
                    left -= 1;
                    continue;
                }
                value => value,
            };
            held = held << width | u32::from(value);
            bits += width;
            if bits >= 8 {
                bits -= 8;
                let byte = u8::try_from(held >> bits & 0xff).unwrap_or(BREAK);
                each(Some(byte), before, at);
            }
            before = at;
        }
    }

    /// Decodes lists of numbers, as programs print bytes: `[115, 107, 45]`.
    fn decimal(&self) -> TextView<'static> {
        let mut out = ReadableText::new();
        let mut number = None;
        let mut start = 0;
        let bytes = self.bytes.iter().copied().enumerate();
        for (at, byte) in bytes.chain([(self.bytes.len(), BREAK)]) {
            if byte.is_ascii_digit() {
                start = number.map_or(at, |_| start);
                let more = number.unwrap_or(0_u32).saturating_mul(10);
                number = Some(more.saturating_add(u32::from(byte - b'0')));
                continue;
            }
            if let Some(number) = number.take() {
                let byte = u8::try_from(number).unwrap_or(0xff);
                out.push(byte, || self.place(start, at - 1));
            }
            if !matches!(byte, b',' | b';' | b' ' | b'\t' | b'\r' | b'\n') {
                out.stop();
            }
        }
        out.finish()
    }
}

/// How symbols are read as bytes.
#[derive(Clone, Copy)]
struct SymbolCode {
    /// The value of each symbol.
    table: &'static [u8; 256],
    /// The bits of a symbol.
    width: u32,
    /// The symbols at the start of each run that are left out, because a group may begin after them.
    skip: u32,
}

impl SymbolCode {
    const fn new(table: &'static [u8; 256], width: u32, skip: u32) -> Self {
        Self { table, width, skip }
    }
}

/// Letters, blanks, and what UTF-16 and characters without width are written with.
fn is_readable(byte: u8) -> bool {
    matches!(byte,
        0 | 9..=13 | 0x20..=0x7e | 0x80..=0x95 | 0xa0 | 0xad | 0xbb | 0xbf | 0xc2 | 0xe2 | 0xef | 0xfe | 0xff)
}

/// A decoded text that keeps only its readable stretches.
struct ReadableText {
    view: TextView<'static>,
    /// Where the stretch that is under way begins.
    start: usize,
}

impl ReadableText {
    fn new() -> Self {
        Self {
            view: TextView::empty(),
            start: 0,
        }
    }

    fn push(&mut self, byte: u8, place: impl Fn() -> Range<usize>) {
        if is_readable(byte) {
            self.view.push(byte, &place());
        } else {
            self.stop();
        }
    }

    fn stop(&mut self) {
        let length = self.view.bytes.len();
        if length - self.start < READABLE {
            self.view.truncate(self.start);
        } else {
            self.view.push(BREAK, &(0..0));
        }
        self.start = self.view.bytes.len();
    }

    fn finish(mut self) -> TextView<'static> {
        self.stop();
        self.view
    }
}

pub(super) fn look_up(table: &[u8; 256], byte: u8) -> u8 {
    table.get(usize::from(byte)).copied().unwrap_or(END)
}

/// The values of base64's symbols in both alphabets (RFC 4648). Blanks and the like may be between them.
static SYMBOLS: [u8; 256] = symbols(false);
/// The same with dashes and low lines between groups.
static GROUPED: [u8; 256] = symbols(true);
/// Hexadecimal digits.
static DIGITS: [u8; 256] = digits();

const fn symbols(grouped: bool) -> [u8; 256] {
    let mut table = between();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0_u8;
    while (at as usize) < alphabet.len() {
        table[alphabet[at as usize] as usize] = at;
        at += 1;
    }
    if !grouped {
        table[b'-' as usize] = 62;
        table[b'_' as usize] = 63;
    }
    table
}

const fn digits() -> [u8; 256] {
    let mut table = between();
    let mut at = 0_u8;
    while at < 10 {
        table[(b'0' + at) as usize] = at;
        at += 1;
    }
    while at < 16 {
        table[(b'a' + at - 10) as usize] = at;
        table[(b'A' + at - 10) as usize] = at;
        at += 1;
    }
    table[b'x' as usize] = b'x';
    table[b'X' as usize] = b'x';
    let also = b",\\+/";
    let mut at = 0;
    while at < also.len() {
        table[also[at] as usize] = SKIP;
        at += 1;
    }
    table
}

/// Characters that may be between symbols: blanks, control characters, punctuation that no document is built of, and
/// all characters beyond ASCII. Any other ends a run.
const fn between() -> [u8; 256] {
    let mut table = [SKIP; 256];
    let mut at = 0x21;
    while at < 0x7f {
        table[at] = END;
        at += 1;
    }
    let skipped = b"-_.:;|*~`'";
    let mut at = 0;
    while at < skipped.len() {
        table[skipped[at] as usize] = SKIP;
        at += 1;
    }
    table
}

fn is_escape(byte: &u8) -> bool {
    matches!(byte, b'\\' | b'%' | b'&' | b'<' | 0)
}

/// What the text begins with, and in how many bytes it is written.
fn escape(text: &[u8]) -> (u8, usize) {
    let literal = (text.first().copied().unwrap_or(FAR), 1);
    let undone = match text {
        [b'\\', rest @ ..] => backslash(rest),
        [b'%', rest @ ..] => number(rest.get(..2), 16).map(|code| (narrow(code), 3)),
        [b'&', ..] => entity(text),
        [b'<', ..] => tag(text),
        _ => None,
    };
    undone.unwrap_or(literal)
}

/// The escapes of JSON, JavaScript, Python and Rust.
fn backslash(rest: &[u8]) -> Option<(u8, usize)> {
    match rest {
        [escaped @ (b'"' | b'\\' | b'/' | b'\''), ..] => Some((*escaped, 2)),
        [b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0', ..] => Some((b' ', 2)),
        [b'u', b'{', rest @ ..] => {
            let length = rest.iter().take(7).position(|byte| *byte == b'}')?;
            let code = number(rest.get(..length), 16)?;
            Some((narrow(code), length + 4))
        }
        [b'u', rest @ ..] => Some((narrow(number(rest.get(..4), 16)?), 6)),
        [b'x', rest @ ..] => Some((narrow(number(rest.get(..2), 16)?), 4)),
        _ => None,
    }
}

/// A character as a byte. Bullets and ellipses become the stars that they are used as.
fn narrow(code: u32) -> u8 {
    match code {
        0x2022 | 0x2026 => b'*',
        0..0x100 => u8::try_from(code).unwrap_or(FAR),
        _ => FAR,
    }
}

/// `&amp;`, `&#43;`, `&#x2b;`; names of other characters are names of no part of a key.
fn entity(text: &[u8]) -> Option<(u8, usize)> {
    const LONGEST: usize = 12;
    let length = text.iter().take(LONGEST).position(|byte| *byte == b';')?;
    let byte = match text.get(1..length)? {
        b"amp" => b'&',
        b"lt" => b'<',
        b"gt" => b'>',
        b"quot" => b'"',
        b"apos" => b'\'',
        b"bull" | b"hellip" => b'*',
        b"sol" => b'/',
        b"plus" => b'+',
        b"equals" => b'=',
        [b'#', b'x' | b'X', digits @ ..] => narrow(number(Some(digits), 16)?),
        [b'#', digits @ ..] => narrow(number(Some(digits), 10)?),
        [] => return None,
        name => name.iter().all(u8::is_ascii_alphabetic).then_some(FAR)?,
    };
    Some((byte, length + 1))
}

/// A short tag without attributes, such as `<wbr>` and `</b>`.
fn tag(text: &[u8]) -> Option<(u8, usize)> {
    const LONGEST: usize = 10;
    let length = text.iter().take(LONGEST).position(|byte| *byte == b'>')?;
    let name = text.get(1..length)?;
    let letters = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b' ');
    (!name.is_empty() && name.iter().all(letters)).then_some((FAR, length + 1))
}

fn number(digits: Option<&[u8]>, base: u32) -> Option<u32> {
    let digits = digits.filter(|digits| !digits.is_empty())?;
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = char::from(*digit).to_digit(base)?;
        number.checked_mul(base)?.checked_add(digit)
    })
}
