//! Names with `*` for any text. No I/O, no clock, no logging.

/// Whether `text` is what `pattern` says: the pieces between its stars follow each other in `text`, the first at its
/// beginning, the last at its end. Takes time linear in both but for overlaps.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        // No star at all.
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}
