//! The keys of questions that were answered from what is kept: the same bytes are asked again and again, and need not be
//! brought into one form each time. Of a question nothing is here but its hash.

use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::domain::hash_map::RandomHasher;

/// Questions that are known at once, at most: some 100 KiB.
const PLACES: usize = 1024;

/// A table in which each question has one place, which it takes from the one before it.
pub struct KnownKeys {
    places: Box<[ArcSwapOption<KnownKey>]>,
    hasher: RandomHasher,
}

#[derive(Debug)]
struct KnownKey {
    quick: u64,
    question: [u8; 32],
    key: [u8; 32],
}

impl Default for KnownKeys {
    fn default() -> Self {
        Self {
            places: (0..PLACES).map(|_| ArcSwapOption::empty()).collect(),
            hasher: RandomHasher::default(),
        }
    }
}

impl KnownKeys {
    /// By what a question is looked for: it tells most questions apart, and takes a tenth of the time of a hash that tells all.
    pub fn quick(&self, beside: &[u8], body: &[u8]) -> u64 {
        self.hasher.hash_one((beside, body))
    }

    /// The key of a question. `question` is asked for only where it is probably known: a hash that is hard to meet, of all that
    /// was sent and counts.
    pub fn get(&self, quick: u64, question: impl FnOnce() -> [u8; 32]) -> Option<[u8; 32]> {
        let known = self.place(quick)?.load();
        let known = known.as_deref().filter(|known| known.quick == quick)?;
        (known.question == question()).then_some(known.key)
    }

    /// From now on it is known.
    pub fn put(&self, quick: u64, question: [u8; 32], key: [u8; 32]) {
        if let Some(place) = self.place(quick) {
            let known = KnownKey {
                quick,
                question,
                key,
            };
            place.store(Some(Arc::new(known)));
        }
    }

    fn place(&self, quick: u64) -> Option<&ArcSwapOption<KnownKey>> {
        let [first, second, ..] = quick.to_be_bytes();
        let number = usize::from(u16::from_be_bytes([first, second]));
        self.places.get(number % PLACES)
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

    #[test]
    fn only_the_very_same_question_has_a_known_key() {
        let known = KnownKeys::default();
        let quick = known.quick(b"a", b"body");
        assert_ne!(quick, known.quick(b"ab", b"ody"));
        assert_eq!(known.get(quick, || unreachable!()), None);
        known.put(quick, [1; 32], [2; 32]);
        assert_eq!(known.get(quick, || [1; 32]), Some([2; 32]));
        assert_eq!(
            known.get(quick, || [3; 32]),
            None,
            "another one of the same quick hash"
        );
        let neighbour = quick ^ 1;
        assert_eq!(known.get(neighbour, || unreachable!()), None);
    }

    #[test]
    fn a_question_takes_the_place_of_another_one_and_never_its_key() {
        let known = KnownKeys::default();
        known.put(1, [1; 32], [2; 32]);
        known.put(2, [3; 32], [4; 32]);
        assert_eq!(known.get(1, || [1; 32]), None);
        assert_eq!(known.get(2, || [3; 32]), Some([4; 32]));
    }
}
