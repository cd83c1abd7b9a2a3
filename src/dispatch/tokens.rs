//! How many tokens a request needs: a cheap bound first, an exact count only when the bound does not
//! decide.

use crate::wire::openai::request::RequestDoc;

/// What a chat template may add to each message, generously.
const PER_MESSAGE: u64 = 8;
/// No tokenizer makes more tokens than bytes: prompt bytes plus the most the answer may have.
pub(super) fn upper_bound(doc: &RequestDoc) -> u64 {
    let bytes = u64::try_from(doc.prompt_bytes()).unwrap_or(u64::MAX);
    bytes.saturating_add(doc.max_output_tokens().unwrap_or(0))
}

/// A rough middle for reservations: four bytes to a token, plus the most the answer may have.
pub(super) fn estimate(doc: &RequestDoc) -> u64 {
    let bytes = u64::try_from(doc.prompt_bytes()).unwrap_or(u64::MAX);
    (bytes / 4).saturating_add(doc.max_output_tokens().unwrap_or(0))
}

/// The exact count by OpenAI's newest public vocabulary. Other models' differ by some percent; the
/// upstream's own refusal remains the last word.
///
/// Takes milliseconds for a large prompt, and a quarter of a second once, when the vocabulary is unpacked:
/// call it where blocking is allowed.
pub(super) fn count(doc: &RequestDoc) -> u64 {
    let tokenizer = tiktoken_rs::o200k_base_singleton();
    let text = doc.prompt_text();
    let tokens: usize = text.iter().map(|part| tokenizer.count_ordinary(part)).sum();
    let messages = u64::try_from(doc.message_count()).unwrap_or(u64::MAX);
    u64::try_from(tokens)
        .unwrap_or(u64::MAX)
        .saturating_add(messages.saturating_mul(PER_MESSAGE / 2))
        .saturating_add(doc.max_output_tokens().unwrap_or(0))
}
