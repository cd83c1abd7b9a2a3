//! Every caller's dialect over every two upstreams': what is done for a stream that fails holds for all of them, and whatever
//! happens the caller's events keep to its grammar.

mod seams;
mod upstreams;

use serde_json::{Value, json};

use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream, ms};
use crate::translation::dialects::{headers, path};
use crate::translation::grammar::faults;
use crate::translation::streams::{events, folded};
use upstreams::{Beside, Script, model, script};

const CALLERS: [&str; 4] = ["openai", "anthropic", "gemini", "responses"];
const UPSTREAMS: [&str; 5] = ["openai", "anthropic", "gemini", "responses", "bedrock"];

/// Where OpenAI's dialect has responses.
const NATIVE: &str = "/v1/responses";

/// A provider `a` and a provider `b` of every dialect at one upstream, each with a key of its name, and a chain of every two.
async fn gateway(upstream: &ScriptedUpstream, rescue: Value, more: &str) -> Gateway {
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
    Gateway::start(&yaml, &[]).await
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

/// What the caller reads.
async fn told(gateway: &Gateway, caller: &str, target: &str) -> String {
    told_of(gateway, caller, target, &asked(caller, target)).await
}

async fn told_of(gateway: &Gateway, caller: &str, target: &str, body: &Value) -> String {
    let mut call = gateway.post(&path(caller, target, true), body.to_string());
    for (name, value) in headers(caller) {
        call = call.header(name, value);
    }
    let stream = call.stream().await;
    let status = stream.status;
    let text = stream.text().await;
    assert_eq!(status, 200, "{caller} {target}: {text}");
    text
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

/// The first upstream does this and the second one that, for every caller and every two upstreams; `check` looks at what the
/// caller read.
async fn each(
    upstream: &ScriptedUpstream,
    gateway: &Gateway,
    first: impl Fn(&str, Script) -> Behaviour,
    second: impl Fn(&str) -> Behaviour,
    check: impl Fn(&str, &str, &str),
) {
    for (one, two) in pairs() {
        for caller in CALLERS {
            let case = format!("{caller} over {one}, {two}");
            play(upstream, "a", one, |own| {
                first(own, script(own, &["Hel", "lo"]))
            });
            play(upstream, "b", two, &second);
            let stream = told(gateway, caller, &format!("{one}-{two}")).await;
            check(&case, caller, &stream);
        }
    }
}

/// A provider answers like this. Those of OpenAI's dialect have both of its APIs.
fn play(
    upstream: &ScriptedUpstream,
    name: &str,
    dialect: &str,
    answer: impl Fn(&str) -> Behaviour,
) {
    let key = format!("{name}-{dialect}");
    upstream.on(Match::key(&key), [answer(dialect)]);
    if dialect == "openai" {
        let native = Match::path(NATIVE).and_key(&key);
        upstream.on(native, [answer("responses")]);
    }
}

/// A whole answer of these words.
fn says(dialect: &str, words: &[&str]) -> Behaviour {
    script(dialect, words).whole()
}

#[tokio::test]
async fn a_stream_that_breaks_off_goes_on_from_what_was_sent() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = gateway(&upstream, json!("continue"), "").await;
    let rest = |two: &str| match two {
        // Its API has no way to go on: it begins again.
        "responses" => says(two, &["He", "llo world"]),
        _ => says(two, &[" wor", "ld"]),
    };
    each(
        &upstream,
        &gateway,
        |_, first| {
            let at = At::AfterPart(first.opening.len() + 2);
            first.whole().reset(at)
        },
        rest,
        |case, caller, stream| is_whole(case, caller, stream, "Hello world"),
    )
    .await;
    for request in upstream.requests() {
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
async fn a_stream_that_breaks_off_begins_again_and_says_what_is_new() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = gateway(&upstream, json!("restart"), "").await;
    each(
        &upstream,
        &gateway,
        |_, first| {
            let at = At::AfterPart(first.opening.len() + 2);
            first.whole().close(at)
        },
        |two| says(two, &["H", "ello wo", "rld"]),
        |case, caller, stream| is_whole(case, caller, stream, "Hello world"),
    )
    .await;
}

#[tokio::test]
async fn another_answer_ends_with_the_error_of_the_first() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = gateway(&upstream, json!("restart"), "").await;
    each(
        &upstream,
        &gateway,
        |_, first| first.fails(),
        |two| says(two, &["Help", " me"]),
        |case, caller, stream| is_cut(case, caller, stream, "Hello"),
    )
    .await;
}

#[tokio::test]
async fn what_is_more_than_text_is_not_continued() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = gateway(&upstream, json!("restart"), "log: {level: debug}\n").await;
    for what in [Beside::Thought, Beside::Call] {
        each(
            &upstream,
            &gateway,
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
    gateway.logged("something else than text was sent").await;
}

#[tokio::test]
async fn what_is_bound_to_a_form_is_not_continued() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = gateway(&upstream, json!("continue"), "log: {level: debug}\n").await;
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
        play(&upstream, "a", caller, |own| {
            script(own, &["Hel", "lo"]).fails()
        });
        let target = format!("{caller}-openai");
        let mut body = asked(caller, &target);
        body[name] = form;
        let stream = told_of(&gateway, caller, &target, &body).await;
        is_cut(caller, caller, &stream, "Hello");
    }
    let keys = upstream.keys();
    assert!(keys.iter().all(|key| key.starts_with("a-")), "{keys:?}");
    gateway.logged("binds its answer to a form").await;
}

#[tokio::test]
async fn usage_is_what_all_attempts_used() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = gateway(&upstream, json!("continue"), "").await;
    for caller in CALLERS {
        // Its first event told 3 tokens of the prompt, and 1 of the two that it sent by then.
        play(&upstream, "a", "anthropic", |own| {
            script(own, &["Hel", "lo"]).fails()
        });
        play(&upstream, "b", "openai", |own| says(own, &[" wor", "ld"]));
        let target = "anthropic-openai";
        let mut body = asked(caller, target);
        if caller == "openai" {
            body["stream_options"] = json!({"include_usage": true});
        }
        let stream = told_of(&gateway, caller, target, &body).await;
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
    let upstream = ScriptedUpstream::start().await;
    let gateway = gateway(&upstream, json!("off"), "").await;
    each(
        &upstream,
        &gateway,
        |_, first| first.fails(),
        |two| says(two, &["never"]),
        |case, caller, stream| is_cut(case, caller, stream, "Hello"),
    )
    .await;
}

#[tokio::test]
async fn what_fails_before_its_first_content_is_hidden() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = gateway(&upstream, json!("off"), "").await;
    each(
        &upstream,
        &gateway,
        |_, first| {
            let at = At::AfterPart(first.opening.len());
            first.whole().reset(at)
        },
        |two| says(two, &["from", " b"]),
        |case, caller, stream| is_whole(case, caller, stream, "from b"),
    )
    .await;
}

#[tokio::test]
async fn a_cut_within_the_time_of_hold_loses_nothing() {
    let upstream = ScriptedUpstream::start().await;
    let held = json!({"mode": "restart", "hold": "5s"});
    let gateway = gateway(&upstream, held, "").await;
    each(
        &upstream,
        &gateway,
        |_, first| {
            let at = At::AfterPart(first.opening.len() + 2);
            first.whole().reset(at)
        },
        |two| says(two, &["Good", " day"]),
        |case, caller, stream| is_whole(case, caller, stream, "Good day"),
    )
    .await;
}

#[tokio::test]
async fn a_silent_start_is_hedged_and_comments_keep_the_caller_waiting() {
    let upstream = ScriptedUpstream::start().await;
    let more = "dispatch: {hedge: {after: 60ms, max_ratio: 1}}\nserver: {stream_keepalive: 20ms}\n";
    let gateway = gateway(&upstream, json!("off"), more).await;
    // Each request earns one hedge: the first one has none.
    upstream.on(Match::any(), [says("openai", &["x"])]);
    told(&gateway, "openai", "openai-openai").await;
    each(
        &upstream,
        &gateway,
        |_, first| {
            let at = At::AfterPart(first.opening.len());
            first.whole().hang(at)
        },
        |two| says(two, &["from", " b"]).late(ms(30)),
        |case, caller, stream| {
            is_whole(case, caller, stream, "from b");
            assert!(stream.starts_with(": keep-alive\n\n"), "{case}: {stream}");
        },
    )
    .await;
}
