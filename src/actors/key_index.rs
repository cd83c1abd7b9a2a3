//! Numbers of keys, found by what the keys are made of: thousands of old keys are matched with thousands of new ones.

use std::collections::VecDeque;

use crate::domain::hash_map::HashMap;
use crate::domain::secret::ApiKey;

/// Of each key's material the numbers that it goes by, each given out once.
pub(crate) struct KeyIndex<'a>(HashMap<&'a Option<ApiKey>, VecDeque<usize>>);

impl<'a> KeyIndex<'a> {
    /// Of these; the material of several may be the same.
    pub(crate) fn of(keys: impl Iterator<Item = (usize, &'a Option<ApiKey>)>) -> Self {
        let mut index: HashMap<_, VecDeque<usize>> = HashMap::default();
        for (number, material) in keys {
            index.entry(material).or_default().push_back(number);
        }
        Self(index)
    }

    /// The first number of this material that was not given out yet.
    pub(crate) fn take(&mut self, material: &Option<ApiKey>) -> Option<usize> {
        self.0.get_mut(material)?.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_given_out_once_and_in_order() {
        let keys = ["a", "b", "a"].map(|text| Some(ApiKey::new(text)));
        let mut index = KeyIndex::of(keys.iter().enumerate());
        assert_eq!(index.take(&keys[0]), Some(0));
        assert_eq!(index.take(&keys[0]), Some(2));
        assert_eq!(index.take(&keys[0]), None);
        assert_eq!(index.take(&keys[1]), Some(1));
        assert_eq!(index.take(&None), None);
    }
}
