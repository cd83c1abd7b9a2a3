//! Ids and names that are longer than a dialect takes them.

use crate::wire::token::TokenDigest;

/// The longest id of a call at OpenAI, also the longest name of a user, in bytes.
pub(in crate::wire) const LONGEST_CALL_ID: usize = 64;
/// So many digits of a digest tell ids apart.
const DIGITS: usize = 16;

/// Shortens an id that is too long. Equal ones stay equal, and others different: a call and its result meet again.
pub(in crate::wire) fn shorten(id: &mut String, most: usize) {
    if id.len() <= most {
        return;
    }
    let digest = TokenDigest::of(id.as_bytes()).to_hex();
    let end = id.floor_char_boundary(most.saturating_sub(DIGITS + 1));
    id.truncate(end);
    id.push('_');
    id.push_str(digest.get(..DIGITS).unwrap_or_default());
}

/// Puts a digest in place of a name that is too long, as agents have it: it may say more than who asks.
pub(in crate::wire) fn disguise(name: &mut String, most: usize) {
    if name.len() > most {
        *name = TokenDigest::of(name.as_bytes()).to_hex();
        name.truncate(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ids_become_short_ones_that_differ() {
        let of = |text: &str| {
            let mut id = text.to_owned();
            shorten(&mut id, LONGEST_CALL_ID);
            id
        };
        let (one, other) = ("x".repeat(64) + "a", "x".repeat(64) + "b");
        assert_eq!(of("call_1"), "call_1");
        assert_eq!(of(&one), of(&one));
        assert_ne!(of(&one), of(&other));
        assert_eq!(of(&one).len(), LONGEST_CALL_ID);
        let mut user = "ü".repeat(80);
        disguise(&mut user, LONGEST_CALL_ID);
        assert!(user.len() == 64 && user.is_ascii());
    }
}
