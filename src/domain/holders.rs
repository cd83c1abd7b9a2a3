//! Which key holds what a provider keeps: files, answers, cached contents, by name. Bounded: what was not asked for longest
//! makes room. No I/O, no clock, no logging.

use std::collections::{BTreeMap, HashMap};

use super::ids::KeyId;

/// Most names. With the longest names, which are rare, they take some 4 MiB.
pub const MOST: usize = 16_384;

/// Names, and the keys that hold what they name.
#[derive(Debug, Default)]
pub struct Holders {
    by_name: HashMap<Box<str>, (KeyId, u64)>,
    /// By when each name was last noted or asked for.
    by_age: BTreeMap<u64, Box<str>>,
    last: u64,
}

impl Holders {
    /// This key holds it. Says whether that is news.
    pub fn note(&mut self, name: &str, key: &KeyId) -> bool {
        let known = self.touch(name);
        if known.as_ref() == Some(key) {
            return false;
        }
        if let Some((held_by, _)) = self.by_name.get_mut(name) {
            *held_by = key.clone();
            return true;
        }
        self.last += 1;
        self.by_name.insert(name.into(), (key.clone(), self.last));
        self.by_age.insert(self.last, name.into());
        if self.by_name.len() > MOST
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_name.remove(&oldest);
        }
        true
    }

    /// The key that holds it, as far as that is known.
    pub fn find(&mut self, name: &str) -> Option<KeyId> {
        self.touch(name)
    }

    fn touch(&mut self, name: &str) -> Option<KeyId> {
        let (key, age) = self.by_name.get_mut(name)?;
        let entry = self.by_age.remove(age)?;
        self.last += 1;
        *age = self.last;
        self.by_age.insert(self.last, entry);
        Some(key.clone())
    }

    /// All of them, the one that was not asked for longest first.
    pub fn all(&self) -> impl Iterator<Item = (&str, &KeyId)> {
        self.by_age
            .values()
            .filter_map(|name| Some((&**name, &self.by_name.get(name)?.0)))
    }

    /// How many names are known.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(index: u32) -> KeyId {
        KeyId {
            provider: "p".into(),
            index,
        }
    }

    #[test]
    fn what_was_not_asked_for_longest_makes_room() {
        let mut holders = Holders::default();
        for n in 0..MOST {
            assert!(holders.note(&n.to_string(), &key(1)));
        }
        assert_eq!(holders.find("0"), Some(key(1)));
        assert!(holders.note("new", &key(2)));
        assert!(!holders.note("new", &key(2)));
        assert!(holders.note("new", &key(3)));
        assert_eq!(holders.find("1"), None);
        assert_eq!(holders.find("0"), Some(key(1)));
        assert_eq!(holders.find("new"), Some(key(3)));
        assert_eq!(holders.len(), MOST);
    }

    proptest! {
        #[test]
        fn both_sides_agree(steps in prop::collection::vec((0u32..20, 0u32..3, any::<bool>()), 0..60)) {
            let mut holders = Holders::default();
            let mut model = std::collections::HashMap::new();
            for (name, index, notes) in steps {
                let name = name.to_string();
                if notes {
                    holders.note(&name, &key(index));
                    model.insert(name, key(index));
                } else {
                    prop_assert_eq!(holders.find(&name), model.get(&name).cloned());
                }
            }
            prop_assert_eq!(holders.all().count(), model.len());
            prop_assert_eq!(holders.len(), model.len());
        }
    }
}
