//! Token counts as an upstream reports them.

use serde::Deserialize;

use crate::domain::usage::Usage;

/// Both spellings, chat completions' and responses'; some upstreams send both at once.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct RawUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
    #[serde(default)]
    input_tokens_details: Option<Details>,
    #[serde(default)]
    completion_tokens_details: Option<Details>,
    #[serde(default)]
    output_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl From<RawUsage> for Usage {
    fn from(raw: RawUsage) -> Self {
        Self {
            prompt_tokens: raw.prompt_tokens.or(raw.input_tokens),
            completion_tokens: raw.completion_tokens.or(raw.output_tokens),
            cached_tokens: raw
                .prompt_tokens_details
                .or(raw.input_tokens_details)
                .and_then(|details| details.cached_tokens),
            reasoning_tokens: raw
                .completion_tokens_details
                .or(raw.output_tokens_details)
                .and_then(|details| details.reasoning_tokens),
            ..Self::default()
        }
    }
}

/// The usage in these bytes, if that is what they are; upstreams put odd things there, which is no error.
pub(super) fn read(raw: &[u8]) -> Option<Usage> {
    if raw.first() != Some(&b'{') {
        return None;
    }
    let raw: RawUsage = serde_json::from_slice(raw).ok()?;
    Some(Usage::from(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_may_come_together() {
        let usage = read(
            br#"{"prompt_tokens":3,"input_tokens":3,"output_tokens":4,"completion_tokens_details":{"reasoning_tokens":2}}"#,
        );
        let usage = usage.unwrap();
        assert_eq!(usage.total(), Some(7));
        assert_eq!(usage.reasoning_tokens, Some(2));
        assert_eq!(read(b"[1,2]"), None);
    }
}
