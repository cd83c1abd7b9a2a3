//! The hash map of what is looked up for each request.

/// A map with a fast hash function, seeded at random for each process.
///
/// For tables whose size is bounded, whoever chooses their keys: it resists floods of colliding keys less than the
/// standard library's, which costs three times as much for the short names and numbers that are keys here.
pub type HashMap<K, V> = std::collections::HashMap<K, V, RandomHasher>;

/// Its hash function.
pub type RandomHasher = foldhash::fast::RandomState;

/// A hasher that gives the same numbers in every process of a build: for what must be found again after a restart.
pub fn fixed_hasher() -> impl std::hash::Hasher + Clone {
    use std::hash::BuildHasher as _;
    foldhash::quality::FixedState::default().build_hasher()
}

/// So many things are found sooner by comparing them than by hashing.
const FEW: usize = 16;

/// Things that were seen already. It allocates and hashes only where there are many.
pub struct SeenSet<T> {
    few: Vec<T>,
    many: HashMap<T, ()>,
}

impl<T: Eq + std::hash::Hash> SeenSet<T> {
    /// None yet, with room for so many.
    pub fn with_capacity(count: usize) -> Self {
        let many = if count > FEW { count } else { 0 };
        Self {
            few: Vec::with_capacity(count.min(FEW)),
            many: HashMap::with_capacity_and_hasher(many, RandomHasher::default()),
        }
    }

    /// Notes it. Returns whether it is new.
    pub fn insert(&mut self, it: T) -> bool {
        if self.few.contains(&it) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(it);
            return true;
        }
        self.many.insert(it, ()).is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::SeenSet;

    proptest! {
        #[test]
        fn everything_is_new_once(values in prop::collection::vec(0u8..40, 0..200), room in 0usize..64) {
            let mut set = SeenSet::with_capacity(room);
            let mut known = std::collections::BTreeSet::new();
            for value in values {
                prop_assert_eq!(set.insert(value), known.insert(value));
            }
        }
    }
}
