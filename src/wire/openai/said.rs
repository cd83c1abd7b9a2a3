//! How much an answer says: the bytes of its text, where no count of tokens came with it.
//!
//! What models write counts: contents, reasoning, refusals, names and arguments of calls; not ids, names of fields, and
//! the data of sounds and images, which tokens have nothing to do with. Nothing is unescaped, and nothing is kept.

use std::fmt;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::wire::json::{self, Text};

/// Fields inside of a content, a call or a part of reasoning that say nothing: names, ids and data.
const SILENT: [&str; 16] = [
    "type",
    "id",
    "call_id",
    "item_id",
    "role",
    "status",
    "format",
    "index",
    "signature",
    "encrypted_content",
    "data",
    "b64_json",
    "url",
    "image_url",
    "annotations",
    "logprobs",
];

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    choices: Option<Choices>,
    #[serde(rename = "type", default, borrow)]
    kind: Option<&'a RawValue>,
    #[serde(default, borrow)]
    delta: Option<&'a RawValue>,
    #[serde(default, borrow)]
    output: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default, borrow)]
    delta: Option<Message<'a>>,
    #[serde(default, borrow)]
    message: Option<Message<'a>>,
    #[serde(default, borrow)]
    text: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(default, borrow)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(default, borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(default, borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(default, borrow)]
    audio: Option<&'a RawValue>,
}

/// The bytes of all choices' texts, added up as they are read.
struct Choices(u64);

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sum;
        impl<'de> Visitor<'de> for Sum {
            type Value = Choices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Choices, A::Error> {
                let mut all = 0u64;
                while let Some(choice) = seq.next_element::<Choice<'de>>()? {
                    all = all.saturating_add(choice.said());
                }
                Ok(Choices(all))
            }
        }
        deserializer.deserialize_seq(Sum)
    }
}

impl Choice<'_> {
    fn said(&self) -> u64 {
        let messages = [self.delta.as_ref(), self.message.as_ref()];
        let messages: u64 = messages.into_iter().flatten().map(Message::said).sum();
        // Some say the text of a delta once more beside it.
        messages.max(said(self.text))
    }
}

impl Message<'_> {
    fn said(&self) -> u64 {
        // The same reasoning under the names that different clients look for.
        let reasoning = [
            self.reasoning_content,
            self.reasoning,
            self.reasoning_details,
        ];
        let reasoning = reasoning.into_iter().map(said).max().unwrap_or(0);
        let rest = [
            self.content,
            self.refusal,
            self.tool_calls,
            self.function_call,
            self.audio,
        ];
        reasoning + rest.into_iter().map(said).sum::<u64>()
    }
}

fn said(value: Option<&RawValue>) -> u64 {
    let mut all = 0;
    let Some(value) = value else { return all };
    let silent = |name: Text<'_>| SILENT.into_iter().any(|silent| name.is(silent));
    // It is never broken off.
    let _ = json::texts(value.get(), silent, |text| {
        all += u64::try_from(text.len()).unwrap_or(u64::MAX);
        ControlFlow::Continue(())
    });
    all
}

/// Bytes of text that this says: a whole answer, or the data of one event. Zero for what is neither.
///
/// Of the events of the responses API only those count that say something new; others repeat what was said.
pub fn text_bytes(data: &[u8]) -> u64 {
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(data) else {
        return 0;
    };
    let choices = answer.choices.map_or(0, |choices| choices.0);
    let kind = answer.kind.map_or("", |kind| kind.get());
    let is_text = kind.ends_with(".delta\"") && !kind.ends_with(".audio.delta\"");
    let delta = said(answer.delta.filter(|_| is_text));
    choices
        .saturating_add(delta)
        .saturating_add(said(answer.output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_writes_counts_once_and_nothing_else_does() {
        for (data, bytes) in [
            (
                r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"}}]}"#,
                5,
            ),
            (
                r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"bc"}}]}"#,
                3,
            ),
            (
                r#"{"choices":[{"delta":{"content":"The"},"text":"The"}]}"#,
                3,
            ),
            (r#"{"choices":[{"text":"completion"}]}"#, 10),
            (
                r#"{"choices":[{"delta":{"content":null,"reasoning":"hmm","reasoning_content":"hmm","reasoning_details":[{"type":"reasoning.text","text":"hmm","format":"x"}]}}]}"#,
                3,
            ),
            (
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}}]}"#,
                8,
            ),
            (
                r#"{"choices":[{"message":{"content":[{"type":"text","text":"abc"}],"refusal":"no"}}]}"#,
                5,
            ),
            (
                r#"{"choices":[{"delta":{"audio":{"id":"x","data":"AAAAAAAA","transcript":"hi"}}}]}"#,
                2,
            ),
            (
                r#"{"choices":[{"delta":{"content":"\u00fc\n\ud834\udd1e"}}]}"#,
                7,
            ),
            (r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, 0),
            (
                r#"{"type":"response.output_text.delta","item_id":"i","delta":"word"}"#,
                4,
            ),
            (
                r#"{"type":"response.function_call_arguments.delta","delta":"{}"}"#,
                2,
            ),
            (r#"{"type":"response.audio.delta","delta":"AAAA"}"#, 0),
            (
                r#"{"type":"response.audio.transcript.delta","delta":"said"}"#,
                4,
            ),
            (
                r#"{"type":"response.output_text.done","text":"word word"}"#,
                0,
            ),
            (
                r#"{"type":"response.completed","response":{"output":[{"content":[{"text":"x"}]}]}}"#,
                0,
            ),
            (
                r#"{"object":"response","output":[{"type":"message","id":"m","role":"assistant","status":"completed","content":[{"type":"output_text","text":"four","annotations":[]}]}]}"#,
                4,
            ),
            (r#"{"data":[{"embedding":[1,2]}]}"#, 0),
            ("[DONE]", 0),
            ("", 0),
        ] {
            assert_eq!(text_bytes(data.as_bytes()), bytes, "{data}");
        }
    }
}
