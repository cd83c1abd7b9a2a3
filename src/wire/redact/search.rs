//! Finds traces of keys in one text: pieces of them anywhere, and beginnings and ends whose other part has been
//! masked.

use std::ops::Range;

use super::disguise::look_up;

/// This many bytes of a key in a row are a find; shorter keys are no secrets (`none`, `ollama`).
pub(super) const PIECE: usize = 8;
/// A key of at least this length is also found by its end alone, by which people name keys.
const LONG: usize = 16;
/// The shortest end that is known.
const SHORTEST_END: usize = 4;
/// A shorter text holds no trace of a key: two letters of one beside two stars are the shortest.
pub(super) const LEAST: usize = 4;
/// In the tables below: a byte that is passed over.
const PASSED: u8 = 0;

/// Every piece of every key. A Bloom filter with one hash (Bloom 1970) answers for most texts without a look at the
/// pieces themselves.
#[derive(Clone, Debug)]
pub(super) struct SecretPieces {
    filter: Box<[u64; 64]>,
    all: Vec<u64>,
    /// Whether they are in order.
    ordered: bool,
}

impl SecretPieces {
    /// Of these keys, as they are and folded.
    pub(super) fn of<'k>(keys: impl Iterator<Item = &'k [u8]>) -> Self {
        let mut all = Vec::new();
        for key in keys {
            for table in [&EXACT, &FOLDED] {
                windows(key, table, |window, _, _| all.push(window));
            }
        }
        let ordered = all.len() > FEW;
        if ordered {
            all.sort_unstable();
            all.dedup();
        }
        let mut filter = Box::new([0; 64]);
        for piece in &all {
            let (word, bit) = place(*piece);
            if let Some(word) = filter.get_mut(word) {
                *word |= bit;
            }
        }
        Self {
            filter,
            all,
            ordered,
        }
    }

    /// The first and the last byte of every piece in the text: literally, and ignoring case and separators between
    /// its letters and digits.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(usize, usize)) {
        if self.all.is_empty() {
            return;
        }
        for table in [&EXACT, &FOLDED] {
            windows(text, table, |window, first, last| {
                let (word, bit) = place(window);
                let maybe = self.filter.get(word).is_some_and(|word| word & bit != 0);
                if maybe && self.holds(window) {
                    found(first, last);
                }
            });
        }
    }
}

impl SecretPieces {
    fn holds(&self, piece: u64) -> bool {
        if self.ordered {
            self.all.binary_search(&piece).is_ok()
        } else {
            self.all.contains(&piece)
        }
    }
}

/// So few pieces, those of some keys, are not put in order: the filter lets few texts through to them.
const FEW: usize = 512;

/// Where the filter keeps a piece. The factor is that of Fibonacci hashing (Knuth, TAOCP 3, 6.4).
fn place(piece: u64) -> (usize, u64) {
    let hash = piece.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
    (usize::try_from(hash >> 6).unwrap_or(0), 1 << (hash & 63))
}

/// Every run of [`PIECE`] bytes that are not passed over, packed, with the places of its first and its last byte.
fn windows(text: &[u8], table: &[u8; 256], mut each: impl FnMut(u64, usize, usize)) {
    let mut window = 0_u64;
    let mut places = [0_usize; PIECE];
    let mut count = 0_usize;
    for (at, byte) in text.iter().enumerate() {
        let byte = look_up(table, *byte);
        if byte == PASSED {
            continue;
        }
        window = window << 8 | u64::from(byte);
        if let Some(place) = places.get_mut(count % PIECE) {
            *place = at;
        }
        count += 1;
        if count >= PIECE {
            // The oldest place is the one that comes next.
            each(window, places.get(count % PIECE).copied().unwrap_or(at), at);
        }
    }
}

/// Bytes as they are. Only NUL is passed over: UTF-16 and UTF-32 of ASCII have it between all letters.
static EXACT: [u8; 256] = exact();
/// Letters in lower case and digits. What documents are built of stays, so that nothing reaches over it; all else is
/// passed over: blanks, line breaks, dashes and other punctuation, and everything beyond ASCII, such as characters
/// without width.
static FOLDED: [u8; 256] = folded();

const fn exact() -> [u8; 256] {
    let mut table = [PASSED; 256];
    let mut byte = u8::MAX;
    while byte > 0 {
        table[byte as usize] = byte;
        byte -= 1;
    }
    table
}

const fn folded() -> [u8; 256] {
    let mut table = [PASSED; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let built = matches!(byte, b'"' | b',' | b'{' | b'}' | b'[' | b']' | b'<' | b'>');
        if byte.is_ascii_alphanumeric() || built {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
}

/// A key's beginning in front of a run of stars or dots, its end behind one. Beginnings and ends that are pieces are found
/// as such.
pub(super) fn beside_masks(key: &[u8], text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(from) = text
        .get(at..)
        .and_then(|rest| rest.iter().position(is_mask))
    {
        let start = at + from;
        let rest = text.get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| !is_mask(byte));
        let end = start + length.unwrap_or(rest.len());
        at = end;
        if end - start < 2 {
            continue;
        }
        let before = text.get(..start).unwrap_or_default();
        let after = text.get(end..).unwrap_or_default();
        let lengths = || (2..=key.len().min(PIECE)).rev();
        // The longest beginning of the key before the run of stars, and the longest end behind it.
        let head = lengths().find(|length| {
            let head = key.get(..*length);
            *length > 2 && head.is_some_and(|head| before.ends_with(head))
        });
        let tail = lengths().find(|length| {
            let tail = key.get(key.len() - length..);
            let ends = after
                .get(*length)
                .is_none_or(|next| !next.is_ascii_alphanumeric());
            ends && tail.is_some_and(|tail| after.starts_with(tail))
        });
        // A longer one than is looked for here is a piece.
        let long = |part: Option<&[u8]>, text: &[u8]| {
            part.is_some_and(|part| {
                memchr::memmem::find(key, part).is_some() && text.len() >= PIECE
            })
        };
        let behind = long(before.get(before.len().saturating_sub(PIECE)..), before);
        let ahead = long(after.get(..PIECE), after);
        if head.is_some() || tail.is_some() || behind || ahead {
            found.push(start - head.unwrap_or(0)..end + tail.unwrap_or(0));
        }
    }
    found
}

/// A key's end as a word of its own. Numbers and JSON's own words are not touched: a document must stay one.
pub(super) fn ends(key: &[u8], text: &[u8]) -> Vec<Range<usize>> {
    if key.len() < LONG {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut start = 0;
    for word in text.split(|byte| !byte.is_ascii_alphanumeric()) {
        let fits = (SHORTEST_END..PIECE).contains(&word.len()) && key.ends_with(word);
        let spared = word.iter().all(u8::is_ascii_digit)
            || [&b"true"[..], b"false", b"null"].contains(&word);
        if fits && !spared {
            found.push(start..start + word.len());
        }
        start += word.len() + 1;
    }
    found
}

/// Stars, dots, and the bytes of `•` and `…`.
fn is_mask(byte: &u8) -> bool {
    matches!(byte, b'*' | b'.' | 0xe2 | 0x80 | 0xa2 | 0xa6)
}
