//! A few things, each found by its key and made when it is first asked for: read without a lock, never taken out.

use std::sync::OnceLock;

/// Looked through from the first to the last, so for few keys only.
#[derive(Debug)]
pub(super) struct OnceMap<K, V>(OnceLock<Box<OnceMapNode<K, V>>>);

#[derive(Debug)]
struct OnceMapNode<K, V> {
    key: K,
    value: V,
    next: OnceLock<Box<Self>>,
}

impl<K, V> Default for OnceMap<K, V> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<K: Copy + PartialEq, V> OnceMap<K, V> {
    /// All of them, in the order in which they came.
    pub(super) fn each(&self, mut tell: impl FnMut(K, &V)) {
        let mut place = &self.0;
        while let Some(node) = place.get() {
            tell(node.key, &node.value);
            place = &node.next;
        }
    }

    /// The one of this key.
    pub(super) fn get(&self, key: K, make: impl Fn() -> V) -> &V {
        let mut place = &self.0;
        loop {
            let node = place.get_or_init(|| {
                let (value, next) = (make(), OnceLock::new());
                Box::new(OnceMapNode { key, value, next })
            });
            // Another thread may have put something else there.
            if node.key == key {
                return &node.value;
            }
            place = &node.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn each_key_has_one_value_whoever_asks_first() {
        let (bag, made) = (OnceMap::default(), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for from in 0..4 {
                let (bag, made) = (&bag, &made);
                scope.spawn(move || {
                    for n in 0..1000_u32 {
                        let key = (n + from) % 50;
                        let value = bag.get(key, || {
                            made.fetch_add(1, Ordering::Relaxed);
                            key * 2
                        });
                        assert_eq!(*value, key * 2);
                    }
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 50);
    }
}
