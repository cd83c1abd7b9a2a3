//! The ids that a request names, of whatever dialect it is.

use std::hash::Hasher;

use memchr::memmem;

use crate::domain::hash_map::fixed_hasher;

/// The last letter of a field's name that holds an id, and the end of the name: `id`, `call_id`, `tool_use_id`, `toolUseId`.
const NAME_ENDS: &[u8] = b"d\"";

/// The ids in a request, by their hashes: they take no more than the request, which need not be kept for them.
#[derive(Debug)]
pub(super) struct GivenIds(Box<[u64]>);

impl GivenIds {
    /// Of a request with this body, which is JSON.
    pub(super) fn of(body: &[u8]) -> Self {
        let ends = memmem::find_iter(body, NAME_ENDS);
        let ids = ends.filter_map(|at| Some(hash(&id_at(body, at)?)));
        let mut ids: Vec<u64> = ids.collect();
        ids.sort_unstable();
        ids.dedup();
        Self(ids.into())
    }

    /// Whether a field holds this id.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.binary_search(&hash(id)).is_ok()
    }
}

/// Two ids of one hash are taken for one: the later call then has an id of its own, which is always right.
fn hash(id: &str) -> u64 {
    let mut hasher = fixed_hasher();
    hasher.write(id.as_bytes());
    hasher.finish()
}

/// The text behind a name whose last letter stands at this place, where that is a name of ids.
fn id_at(body: &[u8], at: usize) -> Option<String> {
    let (name, rest) = body.split_at_checked(at)?;
    if !matches!(name.last(), Some(b'i' | b'I')) {
        return None;
    }
    let rest = rest.get(NAME_ENDS.len()..)?.trim_ascii_start();
    let value = rest.strip_prefix(b":")?.trim_ascii_start();
    let text = value.strip_prefix(b"\"")?;
    let ends = |at: &usize| text.get(*at) == Some(&b'"') && !is_escaped(text.get(..*at));
    let end = memchr::memchr_iter(b'"', text).find(ends)?;
    serde_json::from_slice(value.get(..end + 2)?).ok()
}

/// Whether a backslash stands before this place that means what follows.
fn is_escaped(before: Option<&[u8]>) -> bool {
    let before = before.unwrap_or_default().iter().rev();
    before.take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_whatever_their_fields_are_called() {
        let body = r#"{"a":[{"id":"1","toolUseId" : "2"},{"tool_call_id":
            "3","call_id":"q\"\u0034\\","x":"id","y":": \"id\": \"6\"","id":7,"did":"8","Id":"9"}],"id":"#;
        let ids = GivenIds::of(body.as_bytes());
        for id in ["1", "2", "3", "q\"4\\", "8", "9"] {
            assert!(ids.has(id), "{id}");
        }
        for id in ["", "id", "6", "7", "4"] {
            assert!(!ids.has(id), "{id}");
        }
    }
}
