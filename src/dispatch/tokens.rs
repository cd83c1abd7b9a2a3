//! How many tokens a request needs: a cheap bound first, an exact count only when the bound does not
//! decide.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::wire::request::RequestDoc;

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

/// The count of the prompt by OpenAI's newest public vocabulary, exact but for a token here and there in long texts. Other
/// models' differ by some percent; the upstream's own refusal remains the last word. Beyond `most`, the
/// largest window, it only says that: some number above `most`. Once `gone` is set, the number means nothing.
///
/// Takes milliseconds for a large prompt, and a quarter of a second once, when the vocabulary is unpacked:
/// call it where blocking is allowed.
pub(super) fn count(doc: &RequestDoc, most: u64, gone: &AtomicBool) -> u64 {
    let messages = u64::try_from(doc.message_count()).unwrap_or(u64::MAX);
    let mut tokens = messages.saturating_mul(PER_MESSAGE / 2);
    if tokens > most {
        return tokens;
    }
    // Not all bytes of the prompt: images are large, and few tokens.
    let Some(bytes) = text_bytes(doc, most.saturating_mul(MOST_BYTES_PER_TOKEN), gone) else {
        return u64::MAX;
    };
    let mut sample = Sample::of(bytes);
    let tokenizer = tiktoken_rs::o200k_base_singleton();
    let mut buffer = String::new();
    let each = |piece: &str, tokens: &mut u64| {
        let more = u64::try_from(tokenizer.count_ordinary(piece)).unwrap_or(u64::MAX);
        *tokens = tokens.saturating_add(more);
        if gone.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    // A large prompt is sampled first: most that are too large are found out so.
    if let Some(sample) = &mut sample {
        let mut counted = 0;
        doc.prompt_texts(|text| {
            text.pieces(PIECE, &mut buffer, |piece| {
                if sample.takes(piece) {
                    each(piece, &mut counted)
                } else {
                    ControlFlow::Continue(())
                }
            })
        });
        let all = tokens.saturating_add(sample.extrapolated(counted));
        if gone.load(Ordering::Relaxed) || all / 2 > most {
            return all;
        }
    }
    doc.prompt_texts(|text| {
        text.pieces(PIECE, &mut buffer, |piece| {
            each(piece, &mut tokens)?;
            if tokens > most {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    });
    tokens
}

/// Bytes of the prompt's texts; `None` when they are more than `most`.
fn text_bytes(doc: &RequestDoc, most: u64, gone: &AtomicBool) -> Option<u64> {
    let mut bytes = 0u64;
    doc.prompt_texts(|text| {
        bytes = bytes.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        if bytes > most || gone.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    (bytes <= most).then_some(bytes)
}

/// Bytes that are looked at in one place.
const PLACE: u64 = 4096;

/// A large text is sampled first: when the samples extrapolate to twice the largest window,
/// it is not counted in full.
struct Sample {
    /// Bytes of all texts.
    all: u64,
    /// From one place to the next.
    stride: u64,
    /// The bytes that were passed when the next place begins.
    passed: u64,
    next: u64,
    /// The bytes that are still read in this place: short texts (names of roles, say) follow long ones too often to be
    /// representative.
    left: u64,
    taken: u64,
}

impl Sample {
    /// Places over texts of `all` bytes; `None` when counting them costs little more.
    fn of(all: u64) -> Option<Self> {
        const PLACES: u64 = 64;
        const LARGE: u64 = 1024 * 1024;
        (all > LARGE).then_some(Self {
            all,
            stride: all / PLACES,
            passed: 0,
            next: 0,
            left: 0,
            taken: 0,
        })
    }

    /// Whether this piece, the next one, is to be counted.
    fn takes(&mut self, piece: &str) -> bool {
        let bytes = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if self.passed >= self.next {
            self.next = self.passed + self.stride;
            self.left = PLACE;
        }
        let takes = self.left > 0;
        if takes {
            self.taken += bytes;
            self.left = self.left.saturating_sub(bytes);
        }
        self.passed += bytes;
        takes
    }

    /// The tokens of all texts, extrapolated from those of the places.
    fn extrapolated(&self, counted: u64) -> u64 {
        let all = u128::from(counted) * u128::from(self.all) / u128::from(self.taken.max(1));
        u64::try_from(all).unwrap_or(u64::MAX)
    }
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
    fn escapes_do_not_change_a_count() {
        let text = "Er sagte: \"Über €\" \n\n and then in English. ".repeat(400);
        let whole = tiktoken_rs::o200k_base_singleton().count_ordinary(&text);
        let rest = PER_MESSAGE / 2 + 1;
        assert_eq!(
            counted(&text, u64::MAX),
            u64::try_from(whole).unwrap() + rest
        );
    }

    #[test]
    fn a_very_large_text_is_looked_at_in_places_and_a_fitting_one_is_counted_all_the_same() {
        let text = "word and another ".repeat(100_000);
        let exact = counted(&text, u64::MAX / 16);
        let rough = counted(&text, 120_000);
        assert!(
            exact > 240_000 && rough.abs_diff(exact) < exact / 50,
            "{exact} {rough}"
        );
        assert_eq!(counted(&text, exact), exact);
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
