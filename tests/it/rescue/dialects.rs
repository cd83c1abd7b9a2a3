//! Every caller's dialect over every two upstreams': what is done for a stream that fails holds for all of them, and whatever
//! happens the caller's events keep to its grammar.

mod seams;
mod upstreams;

use serde_json::{Value, json};

use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream, ms};
use crate::translation::dialects::{headers, path};
use crate::translation::grammar::faults;
use crate::translation::streams::{events, folded};
use upstreams::{Beside, Script, model, script};

const CALLERS: [&str; 4] = ["openai", "anthropic", "gemini", "responses"];
const UPSTREAMS: [&str; 6] = [
    "openai",
    "anthropic",
    "gemini",
    "responses",
    "bedrock",
    "ollama",
];

/// Where OpenAI's dialect has responses.
const NATIVE: &str = "/v1/responses";

/// One upstream behind a gateway with a provider `a` and a provider `b` of every dialect, each with a key of its name, and a
/// chain of every two.
struct Pairs {
    upstream: ScriptedUpstream,
    gateway: Gateway,
}

impl Pairs {
    async fn start(rescue: Value, more: &str) -> Self {
        let upstream = ScriptedUpstream::start().await;
        let of = |(name, dialect): (&str, &str)| {
            let name = format!("{name}-{dialect}");
            json!({
                "name": name, "dialect": dialect, "api_key": name, "base_url": upstream.base_url(), "model": model(dialect),
                "retry": {"same_upstream": 0}, "prefill": "assistant", "timeouts": {"idle": "5s"},
                "circuit_breaker": {"failure_threshold": 0, "failure_rate": 0},
            })
        };
        let two = UPSTREAMS.map(|one| [of(("a", one)), of(("b", one))]);
        let chains = pairs().map(|(first, second)| {
            json!({"name": format!("{first}-{second}"), "rescue": rescue,
                "upstreams": [format!("a-{first}"), format!("b-{second}")]})
        });
        let llm = json!({"providers": two.as_flattened(), "virtual": chains.collect::<Vec<_>>()});
        let yaml = format!("llm: {llm}\n{more}");
        let gateway = Gateway::start(&yaml, &[]).await;
        Self { upstream, gateway }
    }

    /// What the caller reads.
    async fn told(&self, caller: &str, target: &str) -> String {
        self.told_of(caller, target, &asked(caller, target)).await
    }

    async fn told_of(&self, caller: &str, target: &str, body: &Value) -> String {
        let mut call = self
            .gateway
            .post(&path(caller, target, true), body.to_string());
        for (name, value) in headers(caller) {
            call = call.header(name, value);
        }
        let stream = call.stream().await;
        let status = stream.status;
        let text = stream.text().await;
        assert_eq!(status, 200, "{caller} {target}: {text}");
        text
    }

    /// The first upstream does this with the words `Hel` and `lo` and the second one that, for every caller and every two
    /// upstreams; `check` looks at what the caller read.
    async fn each(
        &self,
        first: impl Fn(&str, Script) -> Behaviour,
        second: impl Fn(&str) -> Behaviour,
        check: impl Fn(&str, &str, &str),
    ) {
        for (one, two) in pairs() {
            for caller in CALLERS {
                let case = format!("{caller} over {one}, {two}");
                self.play("a", one, |own| first(own, script(own, &["Hel", "lo"])));
                self.play("b", two, &second);
                let stream = self.told(caller, &format!("{one}-{two}")).await;
                check(&case, caller, &stream);
            }
        }
    }

    /// A provider answers like this. Those of OpenAI's dialect have both of its APIs.
    fn play(&self, name: &str, dialect: &str, answer: impl Fn(&str) -> Behaviour) {
        let key = format!("{name}-{dialect}");
        self.upstream.on(Match::key(&key), [answer(dialect)]);
        if dialect == "openai" {
            let native = Match::path(NATIVE).and_key(&key);
            self.upstream.on(native, [answer("responses")]);
        }
    }
}

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    UPSTREAMS
        .into_iter()
        .flat_map(|first| UPSTREAMS.map(|second| (first, second)))
}

/// A plain request of this caller.
fn asked(caller: &str, target: &str) -> Value {
    let user = json!([{"role": "user", "content": "hi"}]);
    match caller {
        "openai" => json!({"model": target, "stream": true, "messages": user}),
        "anthropic" => {
            json!({"model": target, "stream": true, "max_tokens": 50, "messages": user})
        }
        "responses" => json!({"model": target, "stream": true, "input": "hi"}),
        _ => json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
    }
}

/// The stream is one whole answer that says this.
#[track_caller]
fn is_whole(case: &str, caller: &str, stream: &str, says: &str) {
    let events = events(stream);
    let (faults, folded) = (faults(caller, &events), folded(caller, &events));
    assert!(faults.is_empty(), "{case}: {faults:?}\n{stream}");
    assert_eq!(folded["text"], says, "{case}\n{stream}");
    assert!(
        folded["done"] == true && folded["error"].is_null(),
        "{case}\n{stream}"
    );
}

/// The stream says this and ends with an error in its caller's form.
#[track_caller]
fn is_cut(case: &str, caller: &str, stream: &str, says: &str) {
    let events = events(stream);
    let (faults, folded) = (faults(caller, &events), folded(caller, &events));
    assert!(faults.is_empty(), "{case}: {faults:?}\n{stream}");
    assert_eq!(folded["text"], says, "{case}\n{stream}");
    assert!(
        folded["done"] == false && !folded["error"].is_null(),
        "{case}\n{stream}"
    );
}

/// A whole answer of these words.
fn says(dialect: &str, words: &[&str]) -> Behaviour {
    script(dialect, words).whole()
}

#[tokio::test]
async fn a_stream_that_breaks_off_goes_on_from_what_was_sent() {
    let pairs = Pairs::start(json!("continue"), "").await;
    let rest = |two: &str| match two {
        // Its API has no way to go on: it begins again.
        "responses" => says(two, &["He", "llo world"]),
        _ => says(two, &[" wor", "ld"]),
    };
    pairs
        .each(
            |_, first| first.reset_after(2),
            rest,
            |case, caller, stream| is_whole(case, caller, stream, "Hello world"),
        )
        .await;
    for request in pairs.upstream.requests() {
        let Some(dialect) = request
            .key
            .as_deref()
            .and_then(|key| key.strip_prefix("b-"))
        else {
            continue;
        };
        if dialect == "responses" {
            continue;
        }
        // Nobody goes on with a response by its own API.
        assert_ne!(request.path, NATIVE);
        let body = request.json();
        let last = match dialect {
            "gemini" => body["contents"].as_array().unwrap().last().unwrap().clone(),
            _ => body["messages"].as_array().unwrap().last().unwrap().clone(),
        };
        let role = if dialect == "gemini" {
            "model"
        } else {
            "assistant"
        };
        assert_eq!(last["role"], role, "{dialect}: {body}");
        assert!(last.to_string().contains("\"Hello\""), "{dialect}: {body}");
    }
}

#[tokio::test]
async fn white_space_at_the_end_of_what_was_sent_is_told_once() {
    let pairs = Pairs::start(json!("continue"), "").await;
    for two in ["openai", "anthropic", "bedrock"] {
        for caller in CALLERS {
            pairs.play("a", "openai", |own| {
                script(own, &["Hel", "lo\n\n"]).reset_after(2)
            });
            // The beginning of an answer must not end in white space there: the model writes it again.
            let again = match two {
                "openai" => "",
                _ => "\n\n",
            };
            let pieces = [again, "wor", "ld"];
            pairs.play("b", two, |own| says(own, &pieces));
            let stream = pairs.told(caller, &format!("openai-{two}")).await;
            is_whole(
                &format!("{caller} over {two}"),
                caller,
                &stream,
                "Hello\n\nworld",
            );
            let request = pairs.upstream.requests().last().unwrap().json();
            let last = request["messages"]
                .as_array()
                .unwrap()
                .last()
                .unwrap()
                .to_string();
            assert_eq!(
                last.contains("Hello\\n"),
                two == "openai",
                "{caller}: {last}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_begins_again_and_says_what_is_new() {
    let pairs = Pairs::start(json!("restart"), "").await;
    pairs
        .each(
            |_, first| first.close_after(2),
            |two| says(two, &["H", "ello wo", "rld"]),
            |case, caller, stream| is_whole(case, caller, stream, "Hello world"),
        )
        .await;
}

#[tokio::test]
async fn another_answer_ends_with_the_error_of_the_first() {
    let pairs = Pairs::start(json!("restart"), "").await;
    pairs
        .each(
            |_, first| first.fails(),
            |two| says(two, &["Help", " me"]),
            |case, caller, stream| is_cut(case, caller, stream, "Hello"),
        )
        .await;
}

#[tokio::test]
async fn what_is_more_than_text_is_not_continued() {
    let pairs = Pairs::start(json!("restart"), "").await;
    for what in [Beside::Thought, Beside::Call] {
        pairs
            .each(
                |own, first| first.and(own, what).fails(),
                |two| says(two, &["Hello", " world"]),
                |case, caller, stream| {
                    // Google's callers get calls whole, at the end: none was sent.
                    let foreign = !case.contains("over gemini");
                    if caller == "gemini" && what == Beside::Call && foreign {
                        is_whole(case, caller, stream, "Hello world");
                    } else {
                        is_cut(case, caller, stream, "Hello");
                    }
                },
            )
            .await;
    }
    for obstacle in ["thinking_sent", "tool_call_sent"] {
        let told = format!("\"rescue_obstacles\":\"{obstacle}\"");
        pairs.gateway.logged(&told).await;
    }
}

#[tokio::test]
async fn what_is_bound_to_a_form_is_not_continued() {
    let pairs = Pairs::start(json!("continue"), "").await;
    let schema = json!({"type": "object"});
    for (caller, name, form) in [
        ("openai", "response_format", json!({"type": "json_object"})),
        (
            "anthropic",
            "output_config",
            json!({"format": {"type": "json_schema", "schema": schema}}),
        ),
        (
            "gemini",
            "generationConfig",
            json!({"responseMimeType": "application/json"}),
        ),
        (
            "responses",
            "text",
            json!({"format": {"type": "json_object"}}),
        ),
    ] {
        pairs.play("a", caller, |own| script(own, &["Hel", "lo"]).fails());
        let target = format!("{caller}-openai");
        let mut body = asked(caller, &target);
        body[name] = form;
        let stream = pairs.told_of(caller, &target, &body).await;
        is_cut(caller, caller, &stream, "Hello");
    }
    let keys = pairs.upstream.keys();
    assert!(keys.iter().all(|key| key.starts_with("a-")), "{keys:?}");
    let told = "\"rescue_obstacles\":\"request_bound\"";
    pairs.gateway.logged(told).await;
}

#[tokio::test]
async fn usage_is_what_all_attempts_used() {
    let pairs = Pairs::start(json!("continue"), "").await;
    for caller in CALLERS {
        // Its first event told 3 tokens of the prompt, and 1 of the two that it sent by then.
        pairs.play("a", "anthropic", |own| script(own, &["Hel", "lo"]).fails());
        pairs.play("b", "openai", |own| says(own, &[" wor", "ld"]));
        let target = "anthropic-openai";
        let mut body = asked(caller, target);
        if caller == "openai" {
            body["stream_options"] = json!({"include_usage": true});
        }
        let stream = pairs.told_of(caller, target, &body).await;
        is_whole(caller, caller, &stream, "Hello world");
        let usage = folded(caller, &events(&stream))["usage"].clone();
        let (prompt, answer) = match caller {
            "openai" => ("prompt_tokens", "completion_tokens"),
            "gemini" => ("promptTokenCount", "candidatesTokenCount"),
            _ => ("input_tokens", "output_tokens"),
        };
        assert_eq!(
            (&usage[prompt], &usage[answer]),
            (&json!(6), &json!(4)),
            "{caller}\n{stream}"
        );
    }
}

#[tokio::test]
async fn an_error_event_in_mid_stream_is_told_in_the_callers_form() {
    let pairs = Pairs::start(json!("off"), "").await;
    pairs
        .each(
            |_, first| first.fails(),
            |two| says(two, &["never"]),
            |case, caller, stream| is_cut(case, caller, stream, "Hello"),
        )
        .await;
}

#[tokio::test]
async fn what_fails_before_its_first_content_is_hidden() {
    let pairs = Pairs::start(json!("off"), "").await;
    pairs
        .each(
            |_, first| first.reset_after(0),
            |two| says(two, &["from", " b"]),
            |case, caller, stream| is_whole(case, caller, stream, "from b"),
        )
        .await;
}

#[tokio::test]
async fn a_cut_within_the_time_of_hold_loses_nothing() {
    let held = json!({"mode": "restart", "hold": "5s"});
    let pairs = Pairs::start(held, "").await;
    pairs
        .each(
            |_, first| first.reset_after(2),
            |two| says(two, &["Good", " day"]),
            |case, caller, stream| is_whole(case, caller, stream, "Good day"),
        )
        .await;
}

#[tokio::test]
async fn a_silent_start_is_hedged_and_comments_keep_the_caller_waiting() {
    let more = "dispatch: {hedge: {after: 60ms, max_ratio: 1}}\nserver: {stream_keepalive: 20ms}\n";
    let pairs = Pairs::start(json!("off"), more).await;
    // Each request earns one hedge: the first one has none.
    pairs.upstream.on(Match::any(), [says("openai", &["x"])]);
    pairs.told("openai", "openai-openai").await;
    pairs
        .each(
            |_, first| first.hangs(),
            |two| says(two, &["from", " b"]).late(ms(30)),
            |case, caller, stream| {
                is_whole(case, caller, stream, "from b");
                assert!(stream.starts_with(": keep-alive\n\n"), "{case}: {stream}");
            },
        )
        .await;
}
