//! The hash map of what is looked up for each request.

/// A map with a fast hash function, seeded at random for each process.
///
/// For tables whose size is bounded, whoever chooses their keys: it resists floods of colliding keys less than the
/// standard library's, which costs three times as much for the short names and numbers that are keys here.
pub type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
