//! What translation costs: CPU time per event of a stream from Anthropic to a caller of chat completions, beyond a relay of
//! the same stream, and CPU time of a request of 100 KB.
//!
//! `cargo bench --bench translation` prints both; the goals are 4 µs and 1 ms.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark: it may end at the first surprise, and prints"
)]

use http::HeaderMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use std::time::SystemTime;

use bytes::Bytes;
use pointsman::domain::dialect::Operation;
use pointsman::wire::dialects;
use pointsman::wire::exchange::{AttemptStamp, Exchange};
use pointsman::wire::request::RequestDoc;
use pointsman::wire::sse::EventSplitter;
use serde_json::{Map, Value, json};

/// Words of one streamed answer.
const WORDS: usize = 2000;

/// A streamed answer of Anthropic's API.
fn stream() -> Bytes {
    let mut all = String::new();
    let mut say = |event: Value| {
        let name = event["type"].as_str().unwrap_or_default().to_owned();
        all.push_str(&format!("event: {name}\ndata: {event}\n\n"));
    };
    say(
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 25, "output_tokens": 1}}}),
    );
    say(
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    );
    for word in 0..WORDS {
        let text = format!(" word{word}");
        say(
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
        );
    }
    say(json!({"type": "content_block_stop", "index": 0}));
    say(
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": WORDS}}),
    );
    say(json!({"type": "message_stop"}));
    all.into()
}

/// A conversation of an agent with about this many bytes.
fn request(bytes: usize) -> RequestDoc {
    let tools: Vec<Value> = (0..20)
        .map(|at| {
            json!({"type": "function", "function": {"name": format!("tool_{at}"), "description": "d".repeat(200),
                "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}})
        })
        .collect();
    let mut messages = vec![json!({"role": "system", "content": "s".repeat(2000)})];
    let mut at = 0;
    while serde_json::to_vec(&messages).expect("JSON").len() < bytes - 8000 {
        let id = format!("call_{at}");
        messages.push(json!({"role": "user", "content": "u".repeat(500)}));
        messages.push(json!({"role": "assistant", "content": "a".repeat(300), "tool_calls": [{"id": id, "type": "function",
            "function": {"name": "tool_1", "arguments": "{\"path\":\"/a/b\"}"}}]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": "r".repeat(1500)}));
        at += 1;
    }
    messages.push(json!({"role": "user", "content": "go on"}));
    let body = json!({"model": "m", "messages": messages, "tools": tools, "stream": true, "temperature": 0.5});
    RequestDoc::parse(body.to_string().into()).expect("a request")
}

/// The quickest of several runs: the others were disturbed.
#[expect(clippy::disallowed_methods, reason = "a benchmark")]
fn quickest(runs: usize, mut run: impl FnMut()) -> Duration {
    let times = (0..runs).map(|_| {
        let started = Instant::now();
        run();
        started.elapsed()
    });
    times.min().unwrap_or_default()
}

fn main() {
    // `cargo test` runs benches too: a moment is enough to see that it works.
    let runs = if std::env::args().any(|argument| argument == "--bench") {
        50
    } else {
        1
    };
    let anthropic = dialects::upstream("anthropic").expect("a dialect");
    let chat = Exchange::new(Operation::Chat, anthropic).expect("a conversation");
    let messages = Exchange::new(Operation::Messages, anthropic).expect("a conversation");
    let (doc, sent) = (request(100_000), stream());
    let relay = quickest(runs, || {
        let mut splitter = EventSplitter::new(usize::MAX);
        splitter.push(sent.clone());
        while let Ok(Some(event)) = splitter.next_event() {
            black_box(messages.event(&event));
            black_box(event);
        }
    });
    let translated = quickest(runs, || {
        let mut splitter = EventSplitter::new(usize::MAX);
        splitter.push(sent.clone());
        let mut translation = chat
            .translation(
                &doc,
                &HeaderMap::new(),
                AttemptStamp {
                    unique: 7,
                    now: SystemTime::UNIX_EPOCH,
                },
            )
            .expect("not the same dialect");
        while let Ok(Some(event)) = splitter.next_event() {
            black_box(chat.event(&event));
            translation
                .event(&event)
                .for_each(|event| drop(black_box(event)));
        }
    });
    let events = u32::try_from(WORDS + 5).unwrap_or(u32::MAX);
    let more = translated.saturating_sub(relay) / events;
    println!(
        "a stream from anthropic to openai: {more:?} per event beyond its relay ({:?})",
        relay / events
    );
    let converted = quickest(runs, || {
        black_box(
            chat.outgoing(&doc, "claude-sonnet-4-5", &Map::new(), false)
                .expect("it fits"),
        );
    });
    println!(
        "a request of {} bytes from openai to anthropic: {converted:?}",
        doc.body().len()
    );
}
