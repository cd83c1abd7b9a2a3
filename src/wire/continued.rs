//! The request for the rest of an answer, in the dialect of any caller: lists with one more message, limits less what was
//! used.

use serde_json::Value;
use serde_json::value::RawValue;

/// A list, as JSON, with this item behind its last one, which is looked at first: `None` where that does not let it follow, and
/// for what is no list or an empty one.
pub(super) fn appended(
    raw: &[u8],
    item: &Value,
    may_follow: impl FnOnce(&Value) -> bool,
) -> Option<Vec<u8>> {
    let items: Vec<&RawValue> = serde_json::from_slice(raw).ok()?;
    let last: Value = serde_json::from_str(items.last()?.get()).ok()?;
    if !may_follow(&last) {
        return None;
    }
    let mut longer = raw.trim_ascii_end().strip_suffix(b"]")?.to_vec();
    longer.push(b',');
    longer.extend_from_slice(item.to_string().as_bytes());
    longer.push(b']');
    Some(longer)
}

/// Whether a message says that it is of this role.
pub(super) fn is_of(message: &Value, role: &str) -> bool {
    message.get("role").and_then(Value::as_str) == Some(role)
}

/// What is left of a limit of which so much is used: one at least, since none at all is refused.
pub(super) fn left(most: u64, spent: u64) -> u64 {
    most.saturating_sub(spent).max(1)
}

/// The same of a limit as JSON; `None` for what is no limit.
pub(super) fn left_of(raw: Option<&[u8]>, spent: u64) -> Option<Vec<u8>> {
    let most = serde_json::from_slice::<u64>(raw?).ok()?;
    Some(left(most, spent).to_string().into_bytes())
}
