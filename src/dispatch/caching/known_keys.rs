//! The keys of questions that were answered from what is kept: the same bytes are asked again and again, and need not be
//! brought into one form and hashed each time.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

/// Questions that are known at once, at most.
const PLACES: usize = 256;
/// Bytes of the longest body that is known, so that all of them together are 4 MiB at most.
const LONGEST: usize = 16 * 1024;

/// A table in which each question has one place, which it takes from the one before it. Both are compared byte by byte: no
/// question gets another one's key, whatever their hashes.
pub(super) struct KnownKeys {
    places: Box<[ArcSwapOption<KnownKey>]>,
    /// Seeded at random: nobody can choose which questions meet.
    hasher: foldhash::fast::RandomState,
}

struct KnownKey {
    /// All that counts beside the body.
    beside: Box<[u8]>,
    body: Box<[u8]>,
    key: [u8; 32],
}

impl Default for KnownKeys {
    fn default() -> Self {
        Self {
            places: (0..PLACES).map(|_| ArcSwapOption::empty()).collect(),
            hasher: foldhash::fast::RandomState::default(),
        }
    }
}

impl KnownKeys {
    /// The key of a question with this body, and this beside it.
    pub(super) fn get(&self, beside: &[u8], body: &[u8]) -> Option<[u8; 32]> {
        let known = self.place(beside, body)?.load();
        let known = known.as_deref()?;
        (*known.beside == *beside && *known.body == *body).then_some(known.key)
    }

    /// From now on it is known, unless its body is long.
    pub(super) fn put(&self, beside: Vec<u8>, body: &[u8], key: [u8; 32]) {
        let Some(place) = self.place(&beside, body) else {
            return;
        };
        place.store(Some(Arc::new(KnownKey {
            beside: beside.into(),
            body: body.into(),
            key,
        })));
    }

    fn place(&self, beside: &[u8], body: &[u8]) -> Option<&ArcSwapOption<KnownKey>> {
        if body.len() > LONGEST {
            return None;
        }
        let hash = self.hasher.hash_one((beside, body));
        self.places.get(usize::try_from(hash).ok()? % PLACES)
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
        assert_eq!(known.get(b"a", b"body"), None);
        known.put(b"a".to_vec(), b"body", [1; 32]);
        assert_eq!(known.get(b"a", b"body"), Some([1; 32]));
        for (beside, body) in [
            (&b"b"[..], &b"body"[..]),
            (b"a", b"Body"),
            (b"ab", b"ody"),
            (b"", b"abody"),
        ] {
            assert_eq!(known.get(beside, body), None);
        }
    }

    #[test]
    fn a_full_table_takes_new_ones_and_mistakes_none() {
        let known = KnownKeys::default();
        let key = |n: u16| {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&n.to_be_bytes());
            key
        };
        for n in 0..2000_u16 {
            known.put(Vec::new(), &n.to_be_bytes(), key(n));
            assert_eq!(known.get(&[], &n.to_be_bytes()), Some(key(n)));
        }
        let found: Vec<_> = (0..2000_u16)
            .map(|n| (n, known.get(&[], &n.to_be_bytes())))
            .collect();
        assert!(
            found
                .iter()
                .all(|(n, found)| found.is_none_or(|found| found == key(*n)))
        );
        assert!(found.iter().filter(|(_, found)| found.is_some()).count() <= PLACES);
    }

    #[test]
    fn long_bodies_are_not_known() {
        let known = KnownKeys::default();
        let body = vec![b' '; LONGEST + 1];
        known.put(Vec::new(), &body, [1; 32]);
        assert_eq!(known.get(&[], &body), None);
        known.put(Vec::new(), &body[1..], [1; 32]);
        assert_eq!(known.get(&[], &body[1..]), Some([1; 32]));
    }
}
