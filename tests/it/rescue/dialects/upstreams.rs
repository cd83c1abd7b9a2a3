//! Streams of upstreams of every dialect, in parts: what comes before the content, one part for each word, and the end.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use serde_json::{Value, json};

use crate::support::behaviour::{DONE, chunk, error_event, finish, role};
use crate::support::{At, Behaviour};

/// What an answer may have beside its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beside {
    /// A thought.
    Thought,
    /// A call of a tool.
    Call,
}

/// The stream of one answer.
pub struct Script {
    kind: &'static str,
    /// What comes before the content.
    opening: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    end: Vec<Vec<u8>>,
    error: Vec<u8>,
}

impl Script {
    /// With this behind its words.
    pub fn and(mut self, dialect: &str, what: Beside) -> Self {
        self.words.push(beside(dialect, what));
        self
    }

    /// All of it.
    pub fn whole(self) -> Behaviour {
        let parts = [self.opening, self.words, self.end].concat();
        Behaviour::pieces(self.kind, parts)
    }

    /// Its first words, then a reset connection.
    pub fn reset_after(self, words: usize) -> Behaviour {
        let at = At::AfterPart(self.opening.len() + words);
        self.whole().reset(at)
    }

    /// Its first words, then the end of the connection.
    pub fn close_after(self, words: usize) -> Behaviour {
        let at = At::AfterPart(self.opening.len() + words);
        self.whole().close(at)
    }

    /// Nothing behind its beginning.
    pub fn hangs(self) -> Behaviour {
        let at = At::AfterPart(self.opening.len());
        self.whole().hang(at)
    }

    /// Its words, then an error.
    pub fn fails(self) -> Behaviour {
        let parts = [self.opening, self.words, vec![self.error]].concat();
        Behaviour::pieces(self.kind, parts)
    }
}

/// A model that goes on from the beginning of an answer.
pub fn model(dialect: &str) -> &'static str {
    match dialect {
        "anthropic" => "claude-sonnet-4-5",
        "gemini" => "gemini-2.5-flash",
        "bedrock" => "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "ollama" => "qwen3:8b",
        _ => "gpt-4.1",
    }
}

/// An answer of these words from an upstream of this dialect.
pub fn script(dialect: &str, words: &[&str]) -> Script {
    match dialect {
        "openai" => openai(words),
        "anthropic" => anthropic(words),
        "gemini" => gemini(words),
        "responses" => responses(words),
        "bedrock" => bedrock(words),
        "ollama" => ollama(words),
        other => panic!("no such dialect: {other}"),
    }
}

const EVENTS: &str = "text/event-stream";

fn data(value: &Value) -> Vec<u8> {
    format!("data: {value}\n\n").into_bytes()
}

fn named(kind: &str, mut value: Value) -> Vec<u8> {
    value["type"] = kind.into();
    format!("event: {kind}\ndata: {value}\n\n").into_bytes()
}

/// A thought or a call behind the first text.
fn beside(dialect: &str, what: Beside) -> Vec<u8> {
    let thinks = what == Beside::Thought;
    match dialect {
        "openai" => {
            let call = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
            let delta = match thinks {
                true => json!({"reasoning_content": "hm"}),
                false => json!({"tool_calls": [call]}),
            };
            data(&json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "upstream-model",
                "choices": [{"index": 0, "delta": delta, "finish_reason": null}],
            }))
        }
        "anthropic" => {
            let (block, delta) = match thinks {
                true => (
                    json!({"type": "thinking", "thinking": "", "signature": ""}),
                    json!({"type": "thinking_delta", "thinking": "hm"}),
                ),
                false => (
                    json!({"type": "tool_use", "id": "c", "name": "f", "input": {}}),
                    json!({"type": "input_json_delta", "partial_json": "{}"}),
                ),
            };
            let begin = json!({"index": 1, "content_block": block});
            [
                named("content_block_stop", json!({"index": 0})),
                named("content_block_start", begin),
                named("content_block_delta", json!({"index": 1, "delta": delta})),
            ]
            .concat()
        }
        "gemini" => {
            let part = match thinks {
                true => json!({"text": "hm", "thought": true}),
                false => json!({"functionCall": {"name": "f", "args": {}}}),
            };
            let content = json!({"role": "model", "parts": [part]});
            data(&json!({"candidates": [{"content": content, "index": 0}], "responseId": "r1"}))
        }
        "responses" => {
            let item = match thinks {
                true => json!({"id": "i2", "type": "reasoning", "summary": []}),
                false => {
                    json!({"id": "i2", "type": "function_call", "call_id": "c", "name": "f", "arguments": ""})
                }
            };
            let delta = match thinks {
                true => "response.reasoning_summary_text.delta",
                false => "response.function_call_arguments.delta",
            };
            let begin = json!({"output_index": 1, "item": item, "sequence_number": 50});
            let more =
                json!({"output_index": 1, "item_id": "i2", "delta": "{}", "sequence_number": 51});
            [
                named("response.output_item.added", begin),
                named(delta, more),
            ]
            .concat()
        }
        "ollama" => beside_ollama(thinks),
        _ => {
            let (name, payload) = match thinks {
                true => (
                    "contentBlockDelta",
                    json!({"contentBlockIndex": 1, "delta": {"reasoningContent": {"text": "hm"}}}),
                ),
                false => (
                    "contentBlockStart",
                    json!({"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "c", "name": "f"}}}),
                ),
            };
            frame("event", name, &payload)
        }
    }
}

fn openai(words: &[&str]) -> Script {
    Script {
        kind: EVENTS,
        opening: vec![role().into_bytes()],
        words: words.iter().map(|word| chunk(word).into_bytes()).collect(),
        end: vec![
            finish("stop").into_bytes(),
            data(&json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "upstream-model", "choices": [],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            })),
            DONE.into(),
        ],
        error: error_event("engine died").into_bytes(),
    }
}

fn anthropic(words: &[&str]) -> Script {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 1},
    });
    let text = json!({"type": "text", "text": ""});
    let more = |word: &&str| {
        let delta = json!({"type": "text_delta", "text": word});
        named("content_block_delta", json!({"index": 0, "delta": delta}))
    };
    Script {
        kind: EVENTS,
        opening: vec![
            named("message_start", json!({"message": message})),
            named(
                "content_block_start",
                json!({"index": 0, "content_block": text}),
            ),
        ],
        words: words.iter().map(more).collect(),
        end: vec![
            named("content_block_stop", json!({"index": 0})),
            named(
                "message_delta",
                json!({"delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 2}}),
            ),
            named("message_stop", json!({})),
        ],
        error: named(
            "error",
            json!({"error": {"type": "api_error", "message": "engine died"}}),
        ),
    }
}

fn gemini(words: &[&str]) -> Script {
    let event = |parts: Value, reason: Value| {
        let mut event = json!({
            "candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}],
            "responseId": "r1", "modelVersion": "gemini-2.5-flash",
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        });
        if !reason.is_null() {
            event["candidates"][0]["finishReason"] = reason;
        }
        data(&event)
    };
    Script {
        kind: EVENTS,
        opening: vec![event(json!([]), Value::Null)],
        words: words
            .iter()
            .map(|word| event(json!([{"text": word}]), Value::Null))
            .collect(),
        end: vec![event(json!([]), "STOP".into())],
        error: data(
            &json!({"error": {"code": 500, "message": "engine died", "status": "INTERNAL"}}),
        ),
    }
}

fn responses(words: &[&str]) -> Script {
    let response = |status: &str, output: Value, usage: Value| {
        json!({
            "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "gpt-4.1",
            "output": output, "usage": usage, "error": null, "incomplete_details": null,
        })
    };
    let said: String = words.concat();
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let item = |status: &str, content: Value| {
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": content,
        })
    };
    let place = |mut value: Value| {
        value["item_id"] = "msg_1".into();
        value["output_index"] = 0.into();
        value["content_index"] = 0.into();
        value
    };
    let whole = item("completed", json!([part(&said)]));
    let usage = json!({
        "input_tokens": 3, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 5,
    });
    let mut next = 0;
    let mut say = |kind: &str, mut value: Value| {
        value["sequence_number"] = next.into();
        next += 1;
        named(kind, value)
    };
    let begun = response("in_progress", json!([]), Value::Null);
    Script {
        kind: EVENTS,
        opening: vec![
            say("response.created", json!({"response": begun})),
            say(
                "response.output_item.added",
                json!({"output_index": 0, "item": item("in_progress", json!([]))}),
            ),
            say(
                "response.content_part.added",
                place(json!({"part": part("")})),
            ),
        ],
        words: words
            .iter()
            .map(|word| {
                say(
                    "response.output_text.delta",
                    place(json!({"delta": word, "logprobs": []})),
                )
            })
            .collect(),
        end: vec![
            say("response.output_text.done", place(json!({"text": said}))),
            say(
                "response.content_part.done",
                place(json!({"part": part(&said)})),
            ),
            say(
                "response.output_item.done",
                json!({"output_index": 0, "item": whole}),
            ),
            say(
                "response.completed",
                json!({"response": response("completed", json!([whole]), usage)}),
            ),
        ],
        error: named(
            "error",
            json!({"code": "server_error", "message": "engine died", "param": null, "sequence_number": 90}),
        ),
    }
}

fn frame(kind: &str, name: &str, payload: &Value) -> Vec<u8> {
    let header =
        |name: String, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
    let message = Message::new(payload.to_string().into_bytes())
        .add_header(header(format!(":{kind}-type"), name))
        .add_header(header(":content-type".to_owned(), "application/json"))
        .add_header(header(":message-type".to_owned(), kind));
    let mut raw = Vec::new();
    write_message_to(&message, &mut raw).unwrap();
    raw
}

fn bedrock(words: &[&str]) -> Script {
    let event = |name: &str, payload: Value| frame("event", name, &payload);
    let usage = json!({"inputTokens": 3, "outputTokens": 2, "totalTokens": 5});
    Script {
        kind: "application/vnd.amazon.eventstream",
        opening: vec![event("messageStart", json!({"role": "assistant"}))],
        words: words
            .iter()
            .map(|word| {
                event(
                    "contentBlockDelta",
                    json!({"contentBlockIndex": 0, "delta": {"text": word}}),
                )
            })
            .collect(),
        end: vec![
            event("contentBlockStop", json!({"contentBlockIndex": 0})),
            event("messageStop", json!({"stopReason": "end_turn"})),
            event(
                "metadata",
                json!({"usage": usage, "metrics": {"latencyMs": 1}}),
            ),
        ],
        error: frame(
            "exception",
            "internalServerException",
            &json!({"message": "engine died"}),
        ),
    }
}

fn line(message: &Value) -> Vec<u8> {
    let line = json!({"model": "qwen3:8b", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": false});
    format!("{line}\n").into_bytes()
}

fn beside_ollama(thinks: bool) -> Vec<u8> {
    let call = json!({"function": {"name": "f", "arguments": {}}});
    line(&match thinks {
        true => json!({"role": "assistant", "content": "", "thinking": "hm"}),
        false => json!({"role": "assistant", "content": "", "tool_calls": [call]}),
    })
}

fn ollama(words: &[&str]) -> Script {
    let says = |text: &str| line(&json!({"role": "assistant", "content": text}));
    let end = json!({
        "model": "qwen3:8b", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": ""},
        "done": true, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2,
    });
    Script {
        kind: "application/x-ndjson",
        opening: vec![says("")],
        words: words.iter().map(|word| says(word)).collect(),
        end: vec![format!("{end}\n").into_bytes()],
        error: b"{\"error\":\"engine died\"}\n".to_vec(),
    }
}
