//! What it costs to find out whether an answer is kept: the key of a request's body.
//!
//! `cargo bench --bench cache_key` prints the time per request; the goal is 40 µs for 10 KB. With the time that looking for
//! what is never kept takes, which reads the same bytes.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark: it may end at the first surprise, and prints"
)]

use std::hint::black_box;
use std::time::Instant;

use http::HeaderMap;
use pointsman::domain::dialect::Operation;
use pointsman::store::responses::KnownKeys;
use pointsman::wire::cache_key::{self, KeyParts, UpstreamPart};
use pointsman::wire::cacheable;
use pointsman::wire::request::RequestDoc;
use serde_json::{Value, json};

const ROUNDS: u32 = 20_000;

/// A conversation of so many messages, with tools.
fn conversation(messages: usize, tools: usize) -> Value {
    let text = "Which of the moons of Jupiter have an atmosphere, and of what?\nSay \"none\" if there are none.\n";
    let messages = (0..messages).map(|number| {
        let role = if number % 2 == 0 { "user" } else { "assistant" };
        json!({"role": role, "content": text.repeat(4)})
    });
    let tools = (0..tools).map(|number| {
        json!({"type": "function", "function": {"name": format!("tool_{number}"), "description": text,
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}, "limit": {"type": "integer"}},
            "required": ["path"]}}})
    });
    json!({"model": "a", "temperature": 0, "messages": messages.collect::<Vec<_>>(), "tools": tools.collect::<Vec<_>>(),
        "max_tokens": 512, "stream": true})
}

fn upstream(provider: &str) -> UpstreamPart<'_> {
    UpstreamPart {
        provider,
        model: "llama-3.3-70b",
        settings: [1; 32],
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark")]
fn measure(name: &str, body: &Value, rounds: u32) {
    let doc = RequestDoc::parse(body.to_string().into()).expect("a request");
    let headers = HeaderMap::new();
    let parts = KeyParts {
        scope: (0, "ci"),
        operation: Operation::Chat,
        target: "a",
        upstreams: &[upstream("a"), upstream("b")],
        unsupported: "",
        hints: "",
        headers: &headers,
    };
    let known = KnownKeys::default();
    let started = Instant::now();
    for _ in 0..rounds {
        let counted = cache_key::counted(doc.body()).expect("a key");
        black_box(cacheable::obstacle(Operation::Chat, &doc, &counted));
        let beside = cache_key::beside(parts);
        black_box(known.quick(&beside, doc.body()));
        black_box(cache_key::of(&counted, &beside));
    }
    let each = started.elapsed() / rounds;
    let size = doc.body().len();
    println!(
        "{name:<14}{size:>8} bytes {:>8.1} µs",
        each.as_secs_f64() * 1e6
    );
}

fn main() {
    // `cargo test` runs benches too: a moment is enough to see that it works.
    let rounds = if std::env::args().any(|argument| argument == "--bench") {
        ROUNDS
    } else {
        10
    };
    measure("small", &conversation(1, 0), rounds);
    measure("conversation", &conversation(24, 0), rounds);
    measure("with tools", &conversation(12, 20), rounds);
}
