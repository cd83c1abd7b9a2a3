//! The part of a streamed answer that the caller has: its text so far, its metadata, and whether all of it could be
//! compared with another answer. Chat completions are read here, answers of other callers' dialects by those.

use serde_json::{Map, Value};

use crate::domain::dialect::Operation;
use crate::domain::rescue::RescueObstacle;
use crate::wire::dialect::{EventEncoder, SentEvents};
use crate::wire::ir::{ContentDelta, StreamItem};
use crate::wire::json;
use crate::wire::request::RequestDoc;
use crate::wire::sse::RawEvent;

/// Longer answers are not kept, and so not finished by another attempt.
const LONGEST: usize = 1024 * 1024;
/// Most upstreams send one token at a time, and few tokens are longer, in bytes: of the words that have a token of
/// their own nearly all are shorter.
const LONGEST_TOKEN: u64 = 16;
/// Bytes of a token in running text, about, by the rule of thumb of OpenAI's help pages.
const BYTES_PER_TOKEN: u64 = 4;
/// The fields by which a chunk says whose it is.
pub(super) const IDENTITY: [&str; 4] = ["id", "created", "model", "system_fingerprint"];

/// Parts of the names of fields that hold a model's reasoning. Reasoning about the continuation is no part of an answer
/// that began without any.
pub(super) const REASONING: [&str; 3] = ["reasoning", "thinking", "thought"];

/// Everything that was sent of one answer.
#[derive(Debug, Default)]
pub struct Transcript {
    text: String,
    tokens: u64,
    identity: Option<Map<String, Value>>,
    /// Whether the identity is that of a chunk with a choice.
    named: bool,
    role: bool,
    /// What was sent that nothing can go on behind.
    spoiled: Option<RescueObstacle>,
    /// The rest is not looked at.
    is_over: bool,
    /// Whether chunks have their text in the choice itself.
    in_choice: bool,
    /// What reads events that are no chunks, and whether any of them had data.
    events: Option<Box<dyn SentEvents>>,
    begun: bool,
}

/// Whether something is really there: not null, not an empty string, list or object.
pub(super) fn filled(value: &Value) -> bool {
    match value {
        // Numbers and flags beside a text (ids of tokens, say) add nothing to it.
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// About how many tokens a piece of text has, by its length in bytes.
fn about(bytes: usize) -> u64 {
    match u64::try_from(bytes).unwrap_or(u64::MAX) {
        0..=LONGEST_TOKEN => 1,
        bytes => bytes / BYTES_PER_TOKEN,
    }
}

/// What a field or a kind of event of this name tells beside text.
fn obstacle_of(name: &str) -> RescueObstacle {
    if REASONING.iter().any(|part| name.contains(part)) {
        RescueObstacle::ThinkingSent
    } else if name.contains("tool") || name.contains("function_call") {
        RescueObstacle::ToolCallSent
    } else {
        RescueObstacle::OtherSent
    }
}

/// What an event tells beside text, by the kinds of things in it.
fn obstacle_in(event: &RawEvent) -> RescueObstacle {
    let fields = json::whole_object(&event.data()).unwrap_or_default();
    let inner = ["content_block", "delta", "item", "part"];
    let inner = inner.iter().filter_map(|name| fields.get(*name));
    let kinds = inner.filter_map(|inner| inner.get("type")?.as_str());
    let kinds = kinds.chain(fields.get("type").and_then(Value::as_str));
    let mut known = kinds.map(obstacle_of);
    let known = known.find(|obstacle| *obstacle != RescueObstacle::OtherSent);
    known.unwrap_or(RescueObstacle::OtherSent)
}

impl Transcript {
    /// Of an answer to this operation, whose events these read; `None`: of chunks of OpenAI's.
    pub fn of(operation: Operation, events: Option<Box<dyn SentEvents>>) -> Self {
        Self {
            in_choice: operation == Operation::Completions,
            events,
            ..Self::default()
        }
    }

    /// What goes on writing where the caller's events stop, with what an upstream of the dialect `origin` says; `None` for
    /// a chat completion, whose chunks stand by themselves.
    pub fn resumed(&self, doc: &RequestDoc, origin: &'static str) -> Option<Box<dyn EventEncoder>> {
        let events = self.events.as_ref()?;
        Some(events.resumed(doc, origin))
    }

    /// Whether a stream that goes on must be written into the state of the first one.
    pub fn is_resumed(&self) -> bool {
        self.events.is_some() && !self.is_empty()
    }

    /// Notes an event that went out.
    pub fn note(&mut self, event: &RawEvent) {
        if let Some(events) = &mut self.events {
            if event.is_empty() {
                return;
            }
            self.begun = true;
            match events.note(event) {
                Some(items) => self.note_items(items),
                None => self.spoil(obstacle_in(event)),
            }
            if self.is_spoiled() {
                // Nothing goes on behind it any more, and what was kept for that may be large.
                self.events = None;
                self.is_over = true;
            }
            return;
        }
        if self.is_over {
            return;
        }
        let data = event.data();
        if data.is_empty() || data.trim_ascii() == b"[DONE]" {
            return;
        }
        let Some(mut chunk) = json::whole_object(&data) else {
            return self.spoil(RescueObstacle::OtherSent);
        };
        let choices = match chunk.remove("choices") {
            Some(Value::Array(choices)) => choices,
            Some(Value::Null) | None => Vec::new(),
            Some(_) => return self.spoil(RescueObstacle::OtherSent),
        };
        // Some begin with a chunk about nothing, whose names are empty.
        if self.identity.is_none() || (!self.named && !choices.is_empty()) {
            chunk.retain(|name, _| IDENTITY.contains(&name.as_str()));
            self.identity = Some(chunk);
        }
        self.named |= !choices.is_empty();
        if choices.len() > 1 {
            self.spoil(RescueObstacle::OtherSent);
        }
        for choice in choices {
            self.note_choice(choice);
        }
    }

    fn note_items(&mut self, items: Vec<StreamItem>) {
        for item in items {
            match item {
                StreamItem::Delta {
                    candidate: 0,
                    delta: ContentDelta::Text(text),
                } => self.add(&text),
                StreamItem::Delta {
                    candidate: 0,
                    delta: ContentDelta::Role(_),
                } => {}
                StreamItem::Delta { delta, .. } => self.spoil(match delta {
                    ContentDelta::Reasoning(_) => RescueObstacle::ThinkingSent,
                    ContentDelta::ToolCall { .. } => RescueObstacle::ToolCallSent,
                    _ => RescueObstacle::OtherSent,
                }),
                StreamItem::Error(_) => self.spoil(RescueObstacle::OtherSent),
                StreamItem::Head { .. }
                | StreamItem::Stop { .. }
                | StreamItem::CandidateExtra { .. }
                | StreamItem::ServiceTier(_)
                | StreamItem::Usage(_)
                | StreamItem::End => {}
            }
        }
    }

    fn note_choice(&mut self, mut choice: Value) {
        let first = choice
            .get("index")
            .is_none_or(|index| matches!(index.as_u64(), None | Some(0)));
        if self.in_choice {
            return self.note_completion(first, choice);
        }
        // Some say the text of a delta once more beside it.
        let again = choice.get("text") == choice.pointer("/delta/content");
        let whole = choice.get("message").is_some_and(filled)
            || (!again && choice.get("text").is_some_and(filled));
        if !first || whole {
            self.spoil(RescueObstacle::OtherSent);
        }
        let Some(Value::Object(delta)) = choice.get_mut("delta").map(Value::take) else {
            return;
        };
        for (name, value) in delta {
            match (name.as_str(), value) {
                ("role", value) => self.role |= filled(&value),
                ("content", Value::String(text)) => self.add(&text),
                (name, value) if filled(&value) => self.spoil(obstacle_of(name)),
                _ => {}
            }
        }
    }

    /// The same of a completion: text alone.
    fn note_completion(&mut self, first: bool, choice: Value) {
        if !first {
            self.spoil(RescueObstacle::OtherSent);
        }
        let Value::Object(choice) = choice else {
            return;
        };
        for (name, value) in choice {
            match (name.as_str(), value) {
                ("text", Value::String(text)) => self.add(&text),
                (name, value) => match obstacle_of(name) {
                    RescueObstacle::OtherSent => {}
                    known if filled(&value) => self.spoil(known),
                    _ => {}
                },
            }
        }
    }

    fn add(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.tokens += about(text.len());
        if self.text.len() + text.len() > LONGEST {
            self.spoil(RescueObstacle::TooLong);
        } else if !self.is_spoiled() {
            self.text.push_str(text);
        }
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether nothing was sent that says anything.
    pub fn is_empty(&self) -> bool {
        self.identity.is_none() && !self.is_spoiled() && !self.begun
    }

    /// Whether something was sent that is no plain text of one choice: tool calls, reasoning, a refusal, sound.
    pub fn is_spoiled(&self) -> bool {
        self.spoiled.is_some()
    }

    /// What that was, the first of it.
    pub fn spoiled_by(&self) -> Option<RescueObstacle> {
        self.spoiled
    }

    fn spoil(&mut self, by: RescueObstacle) {
        self.spoiled.get_or_insert(by);
    }

    /// About how many tokens the text has: one for each piece that may be a token, more for longer ones.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Whether the role was sent.
    pub(super) fn has_role(&self) -> bool {
        self.role
    }

    /// Whether chunks have their text in the choice itself.
    pub(super) fn is_completion(&self) -> bool {
        self.in_choice
    }

    /// The metadata of the first chunk.
    pub(super) fn identity(&self) -> Map<String, Value> {
        self.identity.clone().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(events: &[&str]) -> Transcript {
        let mut transcript = Transcript::default();
        for data in events {
            let raw = format!("data: {data}\n\n").into();
            transcript.note(&RawEvent { raw });
        }
        transcript
    }

    #[test]
    fn ids_of_tokens_and_a_text_said_twice_spoil_nothing() {
        let transcript = noted(&[
            r#"{"id":"c","choices":[{"index":0,"delta":{"token_id":791,"role":"assistant","content":"The"},"text":"The"}]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"token_id":2,"content":" end"},"text":" end"}]}"#,
        ]);
        assert!(!transcript.is_spoiled());
        assert_eq!(transcript.text(), "The end");
    }

    #[test]
    fn text_adds_up_and_the_first_chunk_names_the_answer() {
        let sent = noted(&[
            r#"{"id":"a","created":1,"model":"m","x":1,"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"id":"b","choices":[{"index":0,"delta":{"content":"Hel","tool_calls":[],"refusal":null}}]}"#,
            r#"{"id":"b","choices":[{"delta":{"content":"lo"}}]}"#,
        ]);
        assert_eq!((sent.text(), sent.tokens()), ("Hello", 2));
        assert!(sent.has_role() && !sent.is_spoiled() && !sent.is_empty());
        assert_eq!(
            Value::from(sent.identity()),
            serde_json::json!({"id": "a", "created": 1, "model": "m"})
        );
    }

    #[test]
    fn a_piece_that_may_be_a_token_is_one_and_a_longer_one_is_measured() {
        let says = |text: &str| format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#);
        let words: Vec<String> = (10..50).map(|n| says(&format!("word{n} "))).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(noted(&words).tokens(), 40);
        assert_eq!(noted(&[&says(&"word ".repeat(40))]).tokens(), 50);
    }

    #[test]
    fn a_chunk_about_nothing_names_no_answer() {
        let sent = noted(&[
            r#"{"id":"","model":"","choices":[],"prompt_filter_results":[{}]}"#,
            r#"{"id":"a","model":"m","choices":[{"delta":{"content":"Hel"}}]}"#,
            r#"{"id":"b","model":"o","choices":[{"delta":{"content":"lo"}}]}"#,
        ]);
        assert_eq!(sent.identity()["id"], "a");
    }

    #[test]
    fn comments_are_nothing() {
        let mut transcript = Transcript::default();
        transcript.note(&RawEvent {
            raw: b": ping\n\n".as_slice().into(),
        });
        assert!(transcript.is_empty());
    }

    #[test]
    fn what_cannot_be_compared_spoils_it() {
        for choice in [
            r#"{"delta":{"tool_calls":[{"index":0}]}}"#,
            r#"{"delta":{"function_call":{"name":"f"}}}"#,
            r#"{"delta":{"refusal":"no"}}"#,
            r#"{"delta":{"audio":{"id":"x"}}}"#,
            r#"{"delta":{"reasoning_content":"hm"}}"#,
            r#"{"delta":{"reasoning":"hm"}}"#,
            r#"{"delta":{"content":[{"type":"text"}]}}"#,
            r#"{"index":1,"delta":{"content":"x"}}"#,
            r#"{"message":{"content":"x"}}"#,
            r#"{"delta":{}},{"delta":{}}"#,
        ] {
            assert!(
                noted(&[&format!(r#"{{"choices":[{choice}]}}"#)]).is_spoiled(),
                "{choice}"
            );
        }
    }
}
