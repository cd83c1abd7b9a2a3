//! Where keys and their values are in a text of TOML.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::spots::{KeySpot, KeySpots, MOST_DEPTH, WordSpot, below, range};

/// A key that is written in more places is not mended.
const MOST_PLACES: usize = 256;

/// The places of a key where a text would have to change for another name of it: a table is named by each of its headers, and by
/// each of its keys that is written with dots. `None`: the text could not be read with it.
pub(super) fn everywhere(text: &str, path: &str, after: &str) -> Option<Vec<WordSpot>> {
    let mut found: Vec<WordSpot> = Vec::new();
    let mut now = text.to_owned();
    // Of the changes so far, each of which is before the next one.
    let (mut removed, mut added, mut end) = (0, 0, 0);
    while let Some(KeySpot { key, .. }) = spots(&now).remove(path) {
        let range = range(&now, &key)?;
        if range.start < end || found.len() == MOST_PLACES {
            return None;
        }
        end = range.start + after.len();
        now.replace_range(range, after);
        let at = (key.at + removed).checked_sub(added)?;
        removed += key.word.len();
        added += after.len();
        found.push(WordSpot { at, ..key });
    }
    DeTable::parse(&now).is_ok().then_some(found)
}

/// The keys of a text, each where it is written first; of a text that cannot be read what is understood of it.
pub(super) fn spots(text: &str) -> KeySpots {
    let (all, _) = DeTable::parse_recoverable(text);
    let mut reading = TomlReading {
        text,
        found: KeySpots::new(),
    };
    reading.table("", all.get_ref(), 0);
    reading.found
}

struct TomlReading<'t> {
    text: &'t str,
    found: KeySpots,
}

impl TomlReading<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>, depth: usize) {
        if depth > MOST_DEPTH {
            return;
        }
        for (key, value) in table {
            let path = below(path, key.get_ref());
            let spot = KeySpot {
                key: self.spot(key.get_ref(), key.span().start),
                value: self.value(value),
            };
            self.found.insert(path.to_lowercase(), spot);
            self.inside(&path, value.get_ref(), depth);
        }
    }

    fn inside(&mut self, path: &str, value: &DeValue<'_>, depth: usize) {
        match value {
            DeValue::Table(table) => self.table(path, table, depth + 1),
            DeValue::Array(items) if depth < MOST_DEPTH => {
                for (item, index) in items.iter().zip(0_usize..) {
                    self.inside(&format!("{path}[{index}]"), item.get_ref(), depth + 1);
                }
            }
            _ => {}
        }
    }

    /// Of a text, which is all that a mend puts another in the place of.
    fn value(&self, value: &Spanned<DeValue<'_>>) -> Option<WordSpot> {
        let text = value.get_ref().as_str()?;
        Some(self.spot(text, value.span().start))
    }

    fn spot(&self, word: &str, at: usize) -> WordSpot {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        let ends = before.iter().filter(|byte| **byte == b'\n');
        WordSpot {
            word: word.to_owned(),
            at,
            line: ends.count() + 1,
        }
    }
}
