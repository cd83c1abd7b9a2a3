//! In which pieces a whole answer is told as a stream.

/// How an answer is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplayOptions {
    /// Whether the caller asked for token counts, where they are only told on request.
    pub usage: bool,
    /// The most characters of text in one event.
    pub piece: usize,
}

/// A text in pieces of at most so many characters; an empty one is one piece.
pub(super) fn pieces(text: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.char_indices().nth(most.max(1)).map(|(at, _)| at);
        match end.and_then(|end| rest.split_at_checked(end)) {
            Some((piece, behind)) => {
                pieces.push(piece);
                rest = behind;
            }
            None => {
                pieces.push(rest);
                return pieces;
            }
        }
    }
}
