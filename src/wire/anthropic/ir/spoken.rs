//! How much an answer says: the bytes of its texts, thoughts and calls, where no count of tokens came with it.

use serde::Deserialize;
use serde_json::value::RawValue;

/// An answer, or one event's data.
#[derive(Deserialize)]
struct SpokenBody<'a> {
    #[serde(default, borrow)]
    content: Option<Vec<SpokenBlock<'a>>>,
    #[serde(default, borrow)]
    delta: Option<SpokenBlock<'a>>,
    #[serde(default, borrow)]
    content_block: Option<SpokenBlock<'a>>,
}

/// A block, or a piece of one.
#[derive(Deserialize)]
struct SpokenBlock<'a> {
    #[serde(default, borrow)]
    text: Option<&'a RawValue>,
    #[serde(default, borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(default, borrow)]
    partial_json: Option<&'a RawValue>,
    #[serde(default, borrow)]
    name: Option<&'a RawValue>,
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
}

impl SpokenBlock<'_> {
    fn bytes(&self) -> usize {
        let words = [self.text, self.thinking, self.partial_json, self.name];
        let words = words.into_iter().flatten().map(|raw| match raw.get() {
            text if text.starts_with('"') => text.len().saturating_sub(2),
            _ => 0,
        });
        let input = self.input.map_or(0, |input| match input.get() {
            "{}" | "null" => 0,
            input => input.len(),
        });
        words.sum::<usize>() + input
    }
}

/// Bytes of what an answer, or one event's data, says.
pub(in crate::wire::anthropic) fn text_bytes(data: &[u8]) -> u64 {
    let object = data.trim_ascii_start().first() == Some(&b'{');
    let said = object.then(|| serde_json::from_slice::<SpokenBody<'_>>(data).ok());
    let Some(Some(said)) = said else {
        return 0;
    };
    let blocks = said.content.into_iter().flatten();
    let blocks = blocks.chain(said.delta).chain(said.content_block);
    let bytes: usize = blocks.map(|block| block.bytes()).sum();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_calls_count_and_ids_do_not() {
        for (data, bytes) in [
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"abc"}}"#,
                3,
            ),
            (
                r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
                2,
            ),
            (
                r#"{"type":"content_block_start","content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}"#,
                1,
            ),
            (
                r#"{"content":[{"type":"thinking","thinking":"hm","signature":"x"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}]}"#,
                10,
            ),
            (
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
                0,
            ),
            ("[1]", 0),
        ] {
            assert_eq!(text_bytes(data.as_bytes()), bytes, "{data}");
        }
    }
}
