//! Streams that break off after content was sent: finished by another attempt where that can be done without
//! mixing two answers, and ended with an error event everywhere else.

mod completions;
mod dialects;
mod hold;
mod never;
mod obstacles;
mod prefill;

use serde_json::{Value, json};

use crate::support::behaviour::{DONE, chunk, error_event, event, finish, role};
use crate::support::client::{errors, spoken};
use crate::support::gateway::Place;
use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, ms};

const CHAIN: &str = "
llm:
  providers:
    - name: a
      base_url: <a>
      model: ma
      api_key: ka
      retry: {same_upstream: 0}
      timeouts: {idle: 500ms}
      circuit_breaker: {failure_threshold: 1, recovery_time: 60s}
    - {name: b, base_url: <b>, model: mb, api_key: kb, prefill: PREFILL, retry: {same_upstream: 0}}
    - {name: c, base_url: <c>, model: mc, api_key: kc, retry: {same_upstream: 0}}
  virtual:
    - {name: v, upstreams: [a, b, c], rescue: RESCUE}
";

struct Three {
    a: ScriptedUpstream,
    b: ScriptedUpstream,
    c: ScriptedUpstream,
    gateway: Gateway,
}

/// `a` says `Hello` and breaks off; `b` and `c` fail unless they are told otherwise.
async fn three(rescue: &str, prefill: &str, more: &str) -> Three {
    let a = ScriptedUpstream::playing([hello().reset(At::AfterPart(3))]).await;
    let b = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let c = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let yaml = CHAIN.replace("RESCUE", rescue).replace("PREFILL", prefill) + more;
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b), ("c", &c)]).await;
    Three { a, b, c, gateway }
}

async fn restarting() -> Three {
    three("restart", "off", "").await
}

/// The role and two words, then more that never comes.
fn hello() -> Behaviour {
    Behaviour::streams(&["Hel", "lo", " there"])
}

fn body(fields: &str) -> String {
    format!(
        r#"{{"model":"v","stream":true,"messages":[{{"role":"user","content":"hi"}}]{fields}}}"#
    )
}

impl Three {
    async fn asked_with(&self, fields: &str) -> String {
        let stream = self.gateway.post_chat(body(fields)).stream().await;
        assert_eq!(stream.status, 200);
        stream.text().await
    }

    async fn asked(&self) -> String {
        self.asked_with("").await
    }

    fn counts(&self) -> [usize; 3] {
        [self.a.count(), self.b.count(), self.c.count()]
    }

    fn b_says(&self, behaviour: Behaviour) {
        self.b.on(Match::any(), [behaviour]);
    }
}

/// A text that is whole, says this, and ends as it should.
#[track_caller]
fn whole(text: &str, says: &str) {
    assert_eq!(spoken(text), says, "{text}");
    assert!(errors(text).is_empty(), "{text}");
    assert!(text.ends_with(DONE), "{text}");
    assert_eq!(text.matches("[DONE]").count(), 1, "{text}");
    assert_eq!(text.matches(r#""role":"assistant""#).count(), 1, "{text}");
}

/// A text that says this and ends with one error event.
#[track_caller]
fn cut(text: &str, says: &str) {
    assert_eq!(spoken(text), says, "{text}");
    assert_eq!(errors(text).len(), 1, "{text}");
    assert!(!text.contains("[DONE]"), "{text}");
}

fn chunks(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

#[tokio::test]
async fn a_restart_says_only_what_is_new_whatever_broke_the_stream() {
    let error = [role(), chunk("Hel"), chunk("lo"), error_event("overloaded")];
    let cases = [
        ("reset", hello().reset(At::AfterPart(3))),
        ("closed", hello().close(At::AfterPart(3))),
        ("inside an event", hello().close(At::InsidePart(3))),
        ("silent", hello().hang(At::AfterPart(3))),
        ("an error event", Behaviour::events(error)),
    ];
    let cases = cases.map(|(name, behaviour)| async move {
        let three = restarting().await;
        three.a.on(Match::any(), [behaviour]);
        three.b_says(Behaviour::streams(&["H", "ello wo", "rld"]));
        let text = three.asked().await;
        whole(&text, "Hello world");
        assert_eq!(three.counts(), [1, 1, 0], "{name}");
        assert!(
            three.b.requests()[0].json()["messages"][1].is_null(),
            "{name}"
        );
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn the_caller_sees_one_answer_by_one_id_model_and_time() {
    let three = restarting().await;
    let other = r#"{"id":"other","object":"chat.completion.chunk","created":99,"model":"other","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello you"},"finish_reason":null}]}"#;
    let end = r#"{"id":"other","created":99,"model":"other","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    three.b_says(Behaviour::events([
        event(other),
        event(end),
        DONE.to_owned(),
    ]));
    let text = three.asked().await;
    whole(&text, "Hello you");
    for chunk in chunks(&text) {
        let identity = [
            &chunk["id"],
            &chunk["created"],
            &chunk["model"],
            &chunk["system_fingerprint"],
        ];
        assert_eq!(
            identity,
            [
                &json!("chatcmpl-1"),
                &json!(1),
                &json!("upstream-model"),
                &Value::Null
            ]
        );
    }
}

#[tokio::test]
async fn an_answer_that_goes_another_way_ends_with_an_error_event() {
    for words in [&["Help me"][..], &["He", "y"], &["Hell"]] {
        let three = restarting().await;
        three.b_says(Behaviour::streams(words));
        cut(&three.asked().await, "Hello");
        assert_eq!(three.counts(), [1, 1, 0], "{words:?}");
        let line = three.gateway.logged("upstreams_exhausted").await;
        assert!(
            line.contains("network") && line.contains("cancelled"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn all_attempts_are_told_and_the_first_stands_as_failed() {
    let three = restarting().await;
    three.b_says(Behaviour::streams(&["Hello world"]));
    whole(&three.asked().await, "Hello world");
    let line = three.gateway.logged(r#""outcome":"answered""#).await;
    let (network, success) = (line.find("network").unwrap(), line.find("success").unwrap());
    assert!(network < success, "{line}");
    // Its breaker has heard of it: the next request does not go there.
    assert_eq!(spoken(&three.asked().await), "Hello world");
    assert_eq!(three.counts(), [1, 2, 0]);
}

#[tokio::test]
async fn wherever_it_breaks_off_the_answer_is_heard_once_and_whole() {
    let words = ["The ", "answer", " is", " ", "42", "."];
    for hold in ["0ms", "20ms"] {
        let a = ScriptedUpstream::start().await;
        // The same answer in other pieces.
        let b =
            ScriptedUpstream::playing([Behaviour::streams(&["The answ", "er i", "s 42."])]).await;
        let yaml = "
llm:
  providers:
    - name: a
      base_url: <a>
      model: ma
      api_key: ka
      retry: {same_upstream: 0}
      circuit_breaker: {failure_threshold: 0, failure_rate: 0}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
  virtual:
    - {name: v, upstreams: [a, b], rescue: {mode: restart, hold: HOLD}}
";
        let yaml = yaml.replace("HOLD", hold);
        let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
        for part in 1..=words.len() + 1 {
            let begun = || Behaviour::streams(&words).between(ms(2));
            for cut in [
                begun().reset(At::AfterPart(part)),
                begun().close(At::InsidePart(part)),
            ] {
                a.on(Match::any(), [cut]);
                let text = gateway.chat_stream("v").stream().await.text().await;
                whole(&text, "The answer is 42.");
            }
        }
        assert_eq!(a.count(), b.count(), "{hold}: each was finished elsewhere");
    }
}

#[tokio::test]
async fn a_second_stream_that_breaks_off_is_rescued_too() {
    let three = restarting().await;
    three.b_says(Behaviour::streams(&["Hello", " wor", "ld"]).reset(At::AfterPart(3)));
    three
        .c
        .on(Match::any(), [Behaviour::streams(&["Hello world", " !"])]);
    whole(&three.asked().await, "Hello world !");
    assert_eq!(three.counts(), [1, 1, 1]);
}

#[tokio::test]
async fn of_two_breaks_the_caller_hears_the_first_error() {
    let three = restarting().await;
    let first = [role(), chunk("Hello"), error_event("the first one")];
    three.a.on(Match::any(), [Behaviour::events(first)]);
    let second = [
        role(),
        chunk("Hello"),
        chunk(" you"),
        error_event("the second one"),
    ];
    three.b_says(Behaviour::events(second));
    let text = three.asked().await;
    cut(&text, "Hello you");
    assert!(text.contains("the first one"), "{text}");
    assert_eq!(three.counts(), [1, 1, 1]);
}

#[tokio::test]
async fn another_key_of_the_only_upstream_will_do() {
    let a = ScriptedUpstream::playing([Behaviour::streams(&["Hello", " world"])]).await;
    a.on(Match::key("k1"), [hello().reset(At::AfterPart(3))]);
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_keys: [k1, k2], retry: {waits: [1ms]}}
  virtual:
    - {name: v, upstreams: [a], rescue: restart}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    whole(
        &gateway.chat_stream("v").stream().await.text().await,
        "Hello world",
    );
    assert_eq!(a.keys(), ["k1", "k2"]);
}

#[tokio::test]
async fn usage_is_what_both_attempts_used() {
    let usage = |prompt: u32, completion: u32| {
        let total = prompt + completion;
        event(&format!(
            r#"{{"choices":[],"usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total}}}}}"#
        ))
    };
    let last = |words: &str| {
        Behaviour::events([
            role(),
            chunk(words),
            finish("stop"),
            usage(20, 7),
            DONE.to_owned(),
        ])
    };
    let used = |text: &str| {
        chunks(text)
            .last()
            .map(|chunk| chunk["usage"].clone())
            .unwrap()
    };
    let with = r#","stream_options":{"include_usage":true}"#;

    // The first told nothing: the two words that it sent count.
    let silent = restarting().await;
    silent.b_says(last("Hello world"));
    let text = silent.asked_with(with).await;
    let expected = json!({"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29});
    assert_eq!(used(&text), expected, "{text}");

    // The first told as it went.
    let told = three("continue", "assistant", "").await;
    let first = [role(), chunk("Hello"), usage(10, 3), chunk("!")];
    told.a.on(
        Match::any(),
        [Behaviour::events(first).reset(At::AfterPart(3))],
    );
    told.b_says(last(" world"));
    let text = told.asked_with(with).await;
    let expected = json!({"prompt_tokens": 30, "completion_tokens": 10, "total_tokens": 40});
    assert_eq!(used(&text), expected, "{text}");
    let line = told.gateway.logged(r#""outcome":"answered""#).await;
    assert!(line.contains(r#""completion_tokens":10"#), "{line}");
}

#[tokio::test]
async fn a_caller_who_hangs_up_ends_the_rescue() {
    let three = restarting().await;
    let gate = Gate::new();
    three.b_says(Behaviour::streams(&["Hello world"]).gate(At::BeforeHead, &gate));
    let mut stream = three.gateway.post_chat(body("")).stream().await;
    stream.until("lo").await;
    three.b.wait_for(1).await;
    drop(stream);
    let left = tokio::time::timeout(ms(1000), three.b.cancelled()).await;
    assert!(left.is_ok(), "within a second");
    let line = three.gateway.logged("caller_left").await;
    assert!(
        line.contains("network") && line.contains("cancelled"),
        "{line}"
    );
    assert_eq!(three.counts(), [1, 1, 0]);
}

#[tokio::test]
async fn a_caller_who_hangs_up_after_the_rescue_ends_the_second_stream() {
    let three = restarting().await;
    three.b_says(Behaviour::streams(&["Hello", " world"]).hang(At::AfterPart(3)));
    let mut stream = three.gateway.post_chat(body("")).stream().await;
    stream.until("world").await;
    drop(stream);
    let left = tokio::time::timeout(ms(1000), three.b.cancelled()).await;
    assert!(left.is_ok(), "within a second");
}
