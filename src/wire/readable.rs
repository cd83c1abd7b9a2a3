//! What a body is by its first bytes.

/// Whether an answer with this beginning is an event stream, whatever its content type. `None` when more bytes are
/// needed to decide.
pub fn looks_like_events(start: &[u8]) -> Option<bool> {
    const FIELDS: [&[u8]; 5] = [b"data", b"event", b"id", b"retry", b"error"];
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let start = start.strip_prefix(MARK).unwrap_or(start).trim_ascii_start();
    if MARK.starts_with(start) {
        return None;
    }
    let end = start
        .iter()
        .position(|byte| matches!(byte, b':' | b'\n' | b'\r'));
    match end {
        Some(end) => {
            let name = start.get(..end).unwrap_or_default();
            Some(name.is_empty() || FIELDS.contains(&name))
        }
        None if FIELDS.iter().any(|field| field.starts_with(start)) => None,
        None => Some(false),
    }
}
