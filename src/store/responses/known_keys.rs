//! The keys of questions that were answered from what is kept: the same bytes are asked again and again, and need not be
//! brought into one form each time. Of a question nothing is here but its hash.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

/// Questions that are known at once, at most: some 100 KiB.
const PLACES: usize = 1024;

/// A table in which each question has one place, which it takes from the one before it.
pub struct KnownKeys(Box<[ArcSwapOption<KnownKey>]>);

#[derive(Debug)]
struct KnownKey {
    question: [u8; 32],
    key: [u8; 32],
}

impl Default for KnownKeys {
    fn default() -> Self {
        Self((0..PLACES).map(|_| ArcSwapOption::empty()).collect())
    }
}

impl KnownKeys {
    /// The key of the question with this hash, which is hard to meet: SHA-256 over all that was sent and counts.
    pub fn get(&self, question: &[u8; 32]) -> Option<[u8; 32]> {
        let known = self.place(question)?.load();
        let known = known.as_deref()?;
        (known.question == *question).then_some(known.key)
    }

    /// From now on it is known.
    pub fn put(&self, question: [u8; 32], key: [u8; 32]) {
        if let Some(place) = self.place(&question) {
            place.store(Some(Arc::new(KnownKey { question, key })));
        }
    }

    /// Who chooses questions that meet here only makes them known again and again.
    fn place(&self, question: &[u8; 32]) -> Option<&ArcSwapOption<KnownKey>> {
        let [first, second, ..] = *question;
        let number = usize::from(u16::from_be_bytes([first, second]));
        self.0.get(number % PLACES)
    }
}

impl fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownKeys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the same place as all others whose number has the same last digits.
    fn question(number: u16) -> [u8; 32] {
        let mut question = [7; 32];
        question[..2].copy_from_slice(&number.to_be_bytes());
        question
    }

    #[test]
    fn only_the_very_same_question_has_a_known_key() {
        let known = KnownKeys::default();
        assert_eq!(known.get(&question(1)), None);
        known.put(question(1), [1; 32]);
        assert_eq!(known.get(&question(1)), Some([1; 32]));
        let mut other = question(1);
        other[31] = 0;
        assert_eq!(known.get(&other), None);
    }

    #[test]
    fn a_question_takes_the_place_of_another_one_and_never_its_key() {
        let known = KnownKeys::default();
        let meets = question(1 + u16::try_from(PLACES).unwrap());
        known.put(question(1), [1; 32]);
        assert_eq!(known.get(&meets), None);
        known.put(meets, [2; 32]);
        assert_eq!(
            (known.get(&meets), known.get(&question(1))),
            (Some([2; 32]), None)
        );
    }
}
