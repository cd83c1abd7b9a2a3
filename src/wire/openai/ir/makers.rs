//! Who made what is signed or encrypted.

use std::borrow::Cow;

use crate::wire::ir::Extra;

/// The upstream dialects whose providers make signatures and what is encrypted, by the words of OpenRouter's
/// `reasoning_details[].format`.
const MAKERS: [(&str, &str); 3] = [
    ("anthropic-claude-v1", "anthropic"),
    ("google-gemini-v1", "gemini"),
    ("openai-responses-v1", "responses"),
];

/// Who made a detail; the word itself stays where it is.
pub(super) fn maker(fields: &Extra) -> Option<Cow<'static, str>> {
    let format = fields.get("format")?.as_str()?;
    let known = MAKERS.iter().find(|(word, _)| *word == format);
    Some(match known {
        Some((_, dialect)) => Cow::Borrowed(*dialect),
        None => Cow::Owned(format.to_owned()),
    })
}

/// The word for what that dialect's providers make.
pub(super) fn format_of(maker: &str) -> &str {
    let known = MAKERS.iter().find(|(_, dialect)| *dialect == maker);
    known.map_or(maker, |(word, _)| word)
}
