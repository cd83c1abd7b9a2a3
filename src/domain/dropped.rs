//! What had no place in the dialect of an upstream or of a caller, by name, and what is done about it. No I/O, no clock, no
//! logging.

use std::fmt;

/// What is done where an upstream's dialect has no place for something that the request says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Unsupported {
    /// It is left out, and the answer names it.
    #[default]
    Drop,
    /// The upstream is not asked.
    Reject,
}

impl Unsupported {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Drop, Self::Reject];

    /// Its word in the configuration and in the request's header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Reject => "reject",
        }
    }

    /// The one of that word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// So many names are kept; of more it is told how many they are.
const MOST_NAMES: usize = 32;
/// Longer names are cut, in bytes.
const LONGEST_NAME: usize = 64;

/// The names of fields that were left out, each once, in the order in which they were met.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    names: Vec<Box<str>>,
    /// How many more there were.
    more: usize,
}

impl Dropped {
    /// Adds a name. What may not stand in a header is replaced: fields may have any name.
    pub fn add(&mut self, name: &str) {
        let fit = |letter: char| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' | '.' | '$' | '@' | ':' | '/' => letter,
            _ => '?',
        };
        let name: Box<str> = name.chars().take(LONGEST_NAME).map(fit).collect();
        if name.is_empty() || self.names.contains(&name) {
            return;
        }
        match self.names.len() < MOST_NAMES {
            true => self.names.push(name),
            false => self.more = self.more.saturating_add(1),
        }
    }

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The first of them.
    pub fn first(&self) -> Option<&str> {
        self.names.first().map(|name| &**name)
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Adds all of another one.
    pub fn extend(&mut self, other: &Self) {
        for name in other.names() {
            self.add(name);
        }
        self.more = self.more.saturating_add(other.more);
    }
}

impl fmt::Display for Dropped {
    /// `a, b, c`; where there were more, `+3` at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(", "))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, ", +{more}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_told_once_and_fits_a_header() {
        let mut dropped = Dropped::default();
        assert!(dropped.is_empty());
        for name in ["top_k", "a\r\nb", "top_k", "", "grüße"] {
            dropped.add(name);
        }
        assert_eq!(dropped.to_string(), "top_k, a??b, gr??e");
        assert_eq!(dropped.first(), Some("top_k"));
    }

    #[test]
    fn of_too_many_it_is_told_how_many_they_are() {
        let mut dropped = Dropped::default();
        for number in 0..MOST_NAMES + 3 {
            dropped.add(&format!("field_{number}"));
        }
        assert!(dropped.to_string().ends_with("field_31, +3"));
        let mut all = Dropped::default();
        all.extend(&dropped);
        assert_eq!(all, dropped);
    }

    #[test]
    fn words_name_what_is_done() {
        for one in Unsupported::ALL {
            assert_eq!(Unsupported::named(one.as_str()), Some(one));
        }
        assert_eq!(Unsupported::named("keep"), None);
    }
}
