//! A short word of an API, such as the name of a service tier, held in place so that what contains it is copied without an
//! allocation. No I/O, no clock, no logging.

use std::fmt;

/// Letters that are kept.
const LONGEST: usize = 16;

/// A word in lower case of at most 16 bytes; what is longer is cut, everywhere in the same way, so that equal words stay
/// equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ShortWord([u8; LONGEST]);

impl ShortWord {
    /// No word.
    pub const NONE: Self = Self([0; LONGEST]);

    /// This text as a word; [`NONE`](Self::NONE) for what is no printable ASCII without spaces.
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        let mut word = [0; LONGEST];
        for (place, byte) in word.iter_mut().zip(text.bytes()) {
            if !byte.is_ascii_graphic() {
                return Self::NONE;
            }
            *place = byte.to_ascii_lowercase();
        }
        Self(word)
    }

    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The word, or `other` if there is none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self.is_none() { other } else { self }
    }

    /// As a text.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0);
        let text = self.0.get(..end.unwrap_or(LONGEST)).unwrap_or_default();
        // Only ASCII is put in.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Debug for ShortWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_in_lower_case_and_cut_in_one_way() {
        assert_eq!(ShortWord::of(" Priority "), ShortWord::of("priority"));
        assert_eq!(ShortWord::of("ON_DEMAND").as_str(), "on_demand");
        assert_eq!(
            ShortWord::of("provisioned_throughput").as_str(),
            "provisioned_thro"
        );
        for none in ["", "  ", "two words", "größe"] {
            assert!(ShortWord::of(none).is_none(), "{none}");
        }
        assert_eq!(
            ShortWord::NONE.or(ShortWord::of("flex")),
            ShortWord::of("flex")
        );
    }
}
