//! How many tokens a request needs: a cheap bound first, an exact count only when the bound does not
//! decide.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::wire::openai::request::RequestDoc;

/// What a chat template may add to each message, generously.
const PER_MESSAGE: u64 = 8;
/// Text of more bytes than this for each token of a window is too large without a count; prose and code
/// have three to five.
const MOST_BYTES_PER_TOKEN: u64 = 16;
/// Bytes counted at once: a tokenizer takes the square of the longest run without a boundary.
const PIECE: usize = 4096;

/// No tokenizer makes more tokens than bytes: prompt bytes plus the most the answer may have.
pub(super) fn upper_bound(doc: &RequestDoc) -> u64 {
    let bytes = u64::try_from(doc.prompt_bytes()).unwrap_or(u64::MAX);
    bytes.saturating_add(doc.max_output_tokens().unwrap_or(0))
}

/// A rough middle for reservations: four bytes of text to a token, a flat amount for each image, sound or file, plus
/// the most the answer may have.
pub(super) fn estimate(doc: &RequestDoc) -> u64 {
    prompt(doc).saturating_add(doc.max_output_tokens().unwrap_or(0))
}

/// The prompt's part of that.
pub(super) fn prompt(doc: &RequestDoc) -> u64 {
    let text = u64::try_from(doc.prompt_bytes() / 4).unwrap_or(u64::MAX);
    text.saturating_add(doc.media_tokens())
}

/// The count by OpenAI's newest public vocabulary, exact but for a token here and there in long texts. Other
/// models' differ by some percent; the upstream's own refusal remains the last word. Beyond `most`, the
/// largest window, it only says that: some number above `most`. Once `gone` is set, the number means nothing.
///
/// Takes milliseconds for a large prompt, and a quarter of a second once, when the vocabulary is unpacked:
/// call it where blocking is allowed.
pub(super) fn count(doc: &RequestDoc, most: u64, gone: &AtomicBool) -> u64 {
    let messages = u64::try_from(doc.message_count()).unwrap_or(u64::MAX);
    let mut tokens = doc
        .max_output_tokens()
        .unwrap_or(0)
        .saturating_add(messages.saturating_mul(PER_MESSAGE / 2));
    if tokens > most {
        return tokens;
    }
    let text = doc.prompt_text();
    // Not all bytes of the prompt: images are large, and few tokens.
    let bytes: usize = text.iter().map(String::len).sum();
    if u64::try_from(bytes).unwrap_or(u64::MAX) > most.saturating_mul(MOST_BYTES_PER_TOKEN) {
        return u64::MAX;
    }
    let tokenizer = tiktoken_rs::o200k_base_singleton();
    for piece in text.iter().flat_map(|part| pieces(part)) {
        let more = u64::try_from(tokenizer.count_ordinary(piece)).unwrap_or(u64::MAX);
        tokens = tokens.saturating_add(more);
        if tokens > most || gone.load(Ordering::Relaxed) {
            break;
        }
    }
    tokens
}

/// `text` in pieces of at most [`PIECE`] bytes, cut before a space where there is one: a token begins there
/// anyway.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let mut end = text.floor_char_boundary(PIECE);
        if end < text.len() {
            let space = text.get(..end).and_then(|piece| piece.rfind(' '));
            end = space.filter(|at| *at > PIECE / 2).unwrap_or(end);
        }
        let (piece, rest) = text.split_at_checked(end)?;
        text = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(content: &str) -> RequestDoc {
        let body = serde_json::json!({"messages": [{"role": "user", "content": content}]});
        RequestDoc::parse(body.to_string().into()).unwrap()
    }

    fn counted(content: &str, most: u64) -> u64 {
        count(&doc(content), most, &AtomicBool::new(false))
    }

    #[test]
    fn a_long_text_counts_as_much_in_pieces_as_in_one() {
        let text = "Ein Satz, wie er überall stehen könnte; then one in English. ".repeat(400);
        let whole = tiktoken_rs::o200k_base_singleton().count_ordinary(&text);
        let all = counted(&text, u64::MAX);
        // The message and its role's name come on top.
        let rest = PER_MESSAGE / 2 + 1;
        assert_eq!(all, u64::try_from(whole).unwrap() + rest);
    }

    #[test]
    fn pieces_are_the_text() {
        for text in [
            "",
            "short",
            &"ü€𝄞".repeat(3000),
            &" a".repeat(9000),
            &"x".repeat(PIECE),
        ] {
            assert_eq!(pieces(text).collect::<String>(), *text);
            assert!(pieces(text).all(|piece| piece.len() <= PIECE));
        }
    }

    #[test]
    fn counting_stops_beyond_the_largest_window() {
        let tokens = counted(&"word ".repeat(10_000), 5000);
        assert!((5001..=5000 + 4096).contains(&tokens), "{tokens}");
    }

    #[test]
    fn far_too_much_text_is_not_counted_and_an_image_is_not_text() {
        assert_eq!(counted(&"x".repeat(1700), 100), u64::MAX);
        let image = format!("data:image/png;base64,{}", "A".repeat(100_000));
        assert!(counted(&image, 100) < 100);
    }

    #[test]
    fn an_image_or_a_sound_is_estimated_flat_whatever_its_size() {
        let parts = |size: usize| {
            let blob = "iVBORw0K".repeat(size / 8);
            serde_json::json!({"messages": [{"role": "user", "content": [
                {"type": "text", "text": "what is this"},
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{blob}")}},
                {"type": "input_audio", "input_audio": {"data": blob, "format": "wav"}},
            ]}], "max_tokens": 100})
        };
        let large = RequestDoc::parse(parts(3_000_000).to_string().into()).unwrap();
        assert!(
            (2100..2300).contains(&estimate(&large)),
            "{}",
            estimate(&large)
        );
        assert!((2000..2200).contains(&prompt(&large)), "{}", prompt(&large));
        let small = RequestDoc::parse(parts(400).to_string().into()).unwrap();
        assert!(
            estimate(&small) < 500,
            "a small one is not dearer than its bytes"
        );
    }
}
