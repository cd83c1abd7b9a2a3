//! The echo dialect: answers with the last user message, without any network. Pure; ids and times are
//! arguments. Token counts are counts of words, and given only where the caller's form of answer has them.

mod dialect;

use bytes::Bytes;
use serde_json::{Value, json};

use super::sse::{data_event, named_event};
use crate::domain::dialect::{AnswerList, Operation};

pub use dialect::EchoDialect;

/// What an echo is made from.
#[derive(Clone, Copy, Debug)]
pub struct Echo<'a> {
    /// The provider's name, which the answer begins with.
    pub provider: &'a str,
    /// A unique id without prefix.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: u64,
}

/// An answer of the echo provider.
#[derive(Clone, PartialEq, Debug)]
pub enum Echoed {
    /// A whole answer.
    Whole(Value),
    /// The events of a stream.
    Stream(Vec<Bytes>),
    /// The caller's fault, in words.
    Refused(&'static str),
}

/// The words of a request and of its answer, which stand for tokens.
#[derive(Clone, Copy, Debug)]
struct WordCounts {
    prompt: usize,
    answer: usize,
}

impl Echo<'_> {
    /// Answers a request.
    pub fn answer(&self, operation: Operation, request: &Value) -> Echoed {
        let model = request
            .get("model")
            .and_then(Value::as_str)
            .unwrap_or("echo");
        let stream = request
            .get("stream")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let answer = operation.spec().answer;
        match answer {
            AnswerList::Content
            | AnswerList::Candidates
            | AnswerList::Embedding
            | AnswerList::Count => Echoed::Refused("the echo speaks OpenAI's API"),
            AnswerList::Ranking | AnswerList::Any => {
                Echoed::Refused("the echo ranks nothing, and has neither sound nor pictures")
            }
            AnswerList::Data if operation != Operation::Embeddings => {
                Echoed::Refused("the echo has no pictures")
            }
            AnswerList::Data => self.embeddings(model, request),
            AnswerList::Results => self.moderations(model, request),
            AnswerList::Choices | AnswerList::Output => {
                let Some(prompt) = prompt(operation, request) else {
                    return Echoed::Refused("At least one user message is required");
                };
                let text = format!("[{}] {prompt}", self.provider);
                let usage = WordCounts {
                    prompt: words(&prompt).len(),
                    answer: words(&text).len(),
                };
                match (answer, stream) {
                    (AnswerList::Output, false) => {
                        Echoed::Whole(self.response(model, &text, usage, "completed"))
                    }
                    (AnswerList::Output, true) => {
                        Echoed::Stream(self.response_events(model, &text, usage))
                    }
                    (_, false) => Echoed::Whole(self.completion(operation, model, &text, usage)),
                    (_, true) => {
                        let with_usage = request
                            .pointer("/stream_options/include_usage")
                            .and_then(Value::as_bool)
                            .unwrap_or(false);
                        let usage = with_usage.then_some(usage);
                        Echoed::Stream(self.chunks(operation, model, &text, usage))
                    }
                }
            }
        }
    }

    fn completion(
        &self,
        operation: Operation,
        model: &str,
        text: &str,
        usage: WordCounts,
    ) -> Value {
        let (id, object, choice) = if operation == Operation::Chat {
            let message = json!({"role": "assistant", "content": text, "refusal": null});
            ("chatcmpl", "chat.completion", json!({"message": message}))
        } else {
            ("cmpl", "text_completion", json!({"text": text}))
        };
        let mut choice = choice;
        merge(
            &mut choice,
            json!({"index": 0, "finish_reason": "stop", "logprobs": null}),
        );
        json!({
            "id": format!("{id}-{}", self.id), "object": object, "created": self.created, "model": model,
            "choices": [choice], "usage": chat_usage(usage),
        })
    }

    fn chunks(
        &self,
        operation: Operation,
        model: &str,
        text: &str,
        usage: Option<WordCounts>,
    ) -> Vec<Bytes> {
        let chat = operation == Operation::Chat;
        let chunk = |choices: Value, usage: Option<Value>| {
            let (id, object) = if chat {
                ("chatcmpl", "chat.completion.chunk")
            } else {
                ("cmpl", "text_completion")
            };
            let mut chunk = json!({
                "id": format!("{id}-{}", self.id), "object": object, "created": self.created,
                "model": model, "choices": choices,
            });
            if let Some(usage) = usage {
                merge(&mut chunk, json!({"usage": usage}));
            }
            data_event(chunk.to_string().as_bytes())
        };
        let none = usage.map(|_| Value::Null);
        let part = |delta: Value, text: &str, finish: Value| {
            let choice = if chat {
                json!({"index": 0, "delta": delta, "finish_reason": finish})
            } else {
                json!({"index": 0, "text": text, "finish_reason": finish})
            };
            chunk(json!([choice]), none.clone())
        };
        let mut events = Vec::new();
        if chat {
            events.push(part(
                json!({"role": "assistant", "content": ""}),
                "",
                Value::Null,
            ));
        }
        events.extend(
            words(text)
                .into_iter()
                .map(|word| part(json!({"content": word}), word, Value::Null)),
        );
        events.push(part(json!({}), "", json!("stop")));
        if let Some(usage) = usage {
            events.push(chunk(json!([]), Some(chat_usage(usage))));
        }
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        events
    }

    fn response(&self, model: &str, text: &str, usage: WordCounts, status: &str) -> Value {
        let WordCounts { prompt, answer } = usage;
        let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
        let done = status == "completed";
        json!({
            "id": format!("resp_{}", self.id), "object": "response", "created_at": self.created,
            "status": status, "model": model, "error": null, "incomplete_details": null,
            "instructions": null, "metadata": {}, "parallel_tool_calls": true, "temperature": null,
            "tool_choice": "auto", "tools": [], "top_p": null, "store": false,
            "output": if done { json!([self.message(&content, "completed")]) } else { json!([]) },
            "usage": if done {
                json!({
                    "input_tokens": prompt, "input_tokens_details": {"cached_tokens": 0},
                    "output_tokens": answer, "output_tokens_details": {"reasoning_tokens": 0},
                    "total_tokens": prompt + answer,
                })
            } else {
                Value::Null
            },
        })
    }

    fn message(&self, content: &Value, status: &str) -> Value {
        json!({
            "type": "message", "id": format!("msg_{}", self.id), "role": "assistant",
            "status": status, "content": content,
        })
    }

    fn response_events(&self, model: &str, text: &str, usage: WordCounts) -> Vec<Bytes> {
        let item_id = format!("msg_{}", self.id);
        let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
        let place = json!({"item_id": item_id, "output_index": 0, "content_index": 0});
        let mut bodies = vec![
            (
                "response.created",
                json!({"response": self.response(model, text, usage, "in_progress")}),
            ),
            (
                "response.output_item.added",
                json!({"output_index": 0, "item": self.message(&json!([]), "in_progress")}),
            ),
            (
                "response.content_part.added",
                joined(&place, json!({"part": part("")})),
            ),
        ];
        for word in words(text) {
            let delta = joined(&place, json!({"delta": word, "logprobs": []}));
            bodies.push(("response.output_text.delta", delta));
        }
        bodies.extend([
            (
                "response.output_text.done",
                joined(&place, json!({"text": text, "logprobs": []})),
            ),
            (
                "response.content_part.done",
                joined(&place, json!({"part": part(text)})),
            ),
            (
                "response.output_item.done",
                json!({"output_index": 0, "item": self.message(&json!([part(text)]), "completed")}),
            ),
            (
                "response.completed",
                json!({"response": self.response(model, text, usage, "completed")}),
            ),
        ]);
        bodies
            .into_iter()
            .enumerate()
            .map(|(number, (name, mut body))| {
                merge(&mut body, json!({"type": name, "sequence_number": number}));
                named_event(name, body.to_string().as_bytes())
            })
            .collect()
    }

    fn embeddings(&self, model: &str, request: &Value) -> Echoed {
        let inputs = match request.get("input") {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) if items.iter().all(Value::is_string) => items
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => return Echoed::Refused("input must be a string or a list of strings"),
        };
        let tokens: usize = inputs.iter().map(|text| words(text).len()).sum();
        let data = inputs.iter().enumerate().map(|(index, text)| {
            json!({"object": "embedding", "index": index, "embedding": vector(text)})
        });
        Echoed::Whole(json!({
            "object": "list", "model": model, "data": data.collect::<Vec<_>>(),
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }))
    }

    fn moderations(&self, model: &str, request: &Value) -> Echoed {
        if request.get("input").is_none() {
            return Echoed::Refused("input is required");
        }
        Echoed::Whole(json!({
            "id": format!("modr-{}", self.id), "model": model,
            "results": [{"flagged": false, "categories": {}, "category_scores": {}}],
        }))
    }
}

/// The last user message, or the prompt.
fn prompt(operation: Operation, request: &Value) -> Option<String> {
    let field = operation.spec().prompt;
    match (field, request.get(field)?) {
        ("prompt", prompts) => text(prompts),
        ("input", Value::String(text)) => Some(text.clone()),
        (_, messages) => last_of_user(messages),
    }
}

fn last_of_user(messages: &Value) -> Option<String> {
    let of_user = |message: &&Value| message.get("role").and_then(Value::as_str) == Some("user");
    let last = messages.as_array()?.iter().rev().find(of_user)?;
    text(last.get("content")?)
}

/// A string, or the text parts of a list joined by spaces.
fn text(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let parts = parts
                .iter()
                .filter_map(|part| part.get("text").or(Some(part))?.as_str());
            Some(parts.collect::<Vec<_>>().join(" "))
        }
        _ => None,
    }
}

/// Words with the white space that follows them, so that joined they are the text again.
fn words(text: &str) -> Vec<&str> {
    text.split_inclusive(char::is_whitespace).collect()
}

fn chat_usage(usage: WordCounts) -> Value {
    let WordCounts { prompt, answer } = usage;
    json!({"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer})
}

/// Eight numbers between -1 and 1 that depend on the text alone (FNV-1a, stirred).
fn vector(text: &str) -> Vec<f64> {
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    (0..8)
        .map(|_| {
            hash = hash.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            f64::from((hash >> 40) as u32 & 0xff_ffff) / f64::from(0x7f_ffff) - 1.0
        })
        .collect()
}

fn joined(base: &Value, more: Value) -> Value {
    let mut all = base.clone();
    merge(&mut all, more);
    all
}

fn merge(base: &mut Value, more: Value) {
    if let (Value::Object(base), Value::Object(more)) = (base, more) {
        base.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::openai::stream::inspect;
    use crate::wire::sse::RawEvent;

    fn echo(operation: Operation, request: &Value) -> Echoed {
        let echo = Echo {
            provider: "steady",
            id: "1",
            created: 7,
        };
        echo.answer(operation, request)
    }

    #[test]
    fn answers_with_the_last_user_message() {
        let request = json!({"model": "m", "messages": [
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "x"},
            {"role": "user", "content": [{"type": "text", "text": "hello"}, {"type": "text", "text": "you"}]},
        ]});
        let Echoed::Whole(answer) = echo(Operation::Chat, &request) else {
            panic!()
        };
        assert_eq!(
            answer["choices"][0]["message"]["content"],
            "[steady] hello you"
        );
        assert_eq!(answer["model"], "m");
    }

    #[test]
    fn without_a_user_message_it_is_the_callers_fault() {
        let request = json!({"messages": [{"role": "system", "content": "x"}]});
        assert!(matches!(
            echo(Operation::Chat, &request),
            Echoed::Refused(_)
        ));
    }

    #[test]
    fn streams_word_by_word_and_ends_as_a_stream_should() {
        for (operation, request) in [
            (
                Operation::Chat,
                json!({"stream": true, "messages": [{"role": "user", "content": "a b"}]}),
            ),
            (
                Operation::Completions,
                json!({"stream": true, "prompt": "a b"}),
            ),
            (
                Operation::Responses,
                json!({"stream": true, "input": "a b"}),
            ),
        ] {
            let Echoed::Stream(events) = echo(operation, &request) else {
                panic!()
            };
            let said: Vec<_> = events
                .into_iter()
                .map(|raw| inspect(operation, &RawEvent { raw }))
                .collect();
            assert_eq!(
                said.iter().filter(|event| event.content).count(),
                3,
                "{operation:?}"
            );
            assert!(said.iter().any(|event| event.finished == 1));
            assert!(said.last().unwrap().done);
            assert!(
                said.iter()
                    .all(|event| !event.malformed && event.error.is_none())
            );
        }
    }

    #[test]
    fn usage_comes_with_a_stream_only_when_asked_for() {
        let mut request = json!({"stream": true, "messages": [{"role": "user", "content": "a"}]});
        let usages = |request: &Value| {
            let Echoed::Stream(events) = echo(Operation::Chat, request) else {
                panic!()
            };
            let with_usage =
                |raw: Bytes| inspect(Operation::Chat, &RawEvent { raw }).usage.is_some();
            events
                .into_iter()
                .map(with_usage)
                .filter(|with| *with)
                .count()
        };
        assert_eq!(usages(&request), 0);
        request["stream_options"] = json!({"include_usage": true});
        assert_eq!(usages(&request), 1);
    }

    #[test]
    fn the_same_text_has_the_same_embedding() {
        let request = json!({"input": ["a", "b", "a"]});
        let Echoed::Whole(answer) = echo(Operation::Embeddings, &request) else {
            panic!()
        };
        assert_eq!(
            answer["data"][0]["embedding"],
            answer["data"][2]["embedding"]
        );
        assert_ne!(
            answer["data"][0]["embedding"],
            answer["data"][1]["embedding"]
        );
    }
}
