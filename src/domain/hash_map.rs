//! The hash map of what is looked up for each request.

/// A map with a fast hash function, seeded at random for each process.
///
/// For tables whose size is bounded, whoever chooses their keys: it resists floods of colliding keys less than the
/// standard library's, which costs three times as much for the short names and numbers that are keys here.
pub type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

/// A hasher that gives the same numbers in every process of a build: for what must be found again after a restart.
pub fn fixed_hasher() -> impl std::hash::Hasher + Clone {
    use std::hash::BuildHasher as _;
    foldhash::quality::FixedState::default().build_hasher()
}
