//! A program with the library inside, over scripted upstreams: no process, no port.

use std::time::Duration;

use pointsman::{AskError, Configuration, Pointsman, Query};
use serde_json::{Value, json};

use crate::support::wait::bounded;
use crate::support::{At, Behaviour, Gate, Match, ScriptedUpstream, until};

const TWO: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, retry: {same_upstream: 0}}
    - {name: b, base_url: <b>, model: m, api_key: k2}
  virtual:
    - {name: smart, upstreams: [{name: a}, {name: b}]}
";

async fn started(yaml: &str, places: &[(&str, &ScriptedUpstream)]) -> Pointsman {
    let mut text = yaml.to_owned();
    for (name, place) in places {
        text = text.replace(&format!("<{name}>"), &place.base_url());
    }
    let configuration = Configuration::from_yaml(text).unwrap();
    Pointsman::start(&configuration).await.unwrap()
}

fn keys(state: &Value, provider: &str) -> Value {
    let all = state["providers"].as_array().unwrap().iter();
    let mut named = all.filter(|one| one["name"] == provider);
    named.next().unwrap()["keys"].clone()
}

#[tokio::test]
async fn a_program_is_answered_by_the_next_upstream_and_sees_what_became_of_the_first() {
    let a = ScriptedUpstream::playing([Behaviour::rate_limited()]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("hello there")]).await;
    let pointsman = started(TWO, &[("a", &a), ("b", &b)]).await;
    let question = Query::new("smart", "hi").with("temperature", 0.5);
    let answer = pointsman.ask(question).await.unwrap();
    assert_eq!(answer.text(), "hello there");
    assert_eq!(
        (answer.upstream(), answer.key()),
        (Some("b:m"), Some("b#1"))
    );
    assert_eq!(answer.header("x-pointsman-attempts"), Some("2"));
    assert_eq!(answer.body()["usage"]["total_tokens"], 5);
    assert_eq!(b.requests()[0].json()["temperature"], 0.5);
    let state = pointsman.state();
    let cooling = keys(&state, "a")[0]["cooling"].clone();
    assert_eq!(cooling.as_array().map(Vec::len), Some(1), "{state:#}");
    assert!(!state.to_string().contains("k1"), "{state:#}");
    pointsman.shut_down().await;
}

#[tokio::test]
async fn text_is_read_in_every_dialect() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    a.on(Match::any(), [Behaviour::says("word")]);
    let yaml = TWO.replace("api_key: k1", "api_key: k1, responses: translate");
    let pointsman = started(&yaml, &[("a", &a), ("b", &b)]).await;
    let chat = json!({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10});
    let google = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    for (path, body) in [
        ("/v1/chat/completions", chat.clone()),
        ("/v1/messages", chat),
        ("/v1/responses", json!({"input": "hi"})),
        ("/v1beta/models/a:generateContent", google.clone()),
    ] {
        let mut question = Query::to(path, body.as_object().unwrap().clone());
        if !path.contains("models/") {
            question = question.with("model", "a");
        }
        assert_eq!(
            pointsman.ask(question).await.unwrap().text(),
            "word",
            "{path}"
        );
    }
    a.on(Match::any(), [Behaviour::streams(&["be", "gun"])]);
    let path = "/v1beta/models/a:streamGenerateContent?alt=sse";
    let google = Query::to(path, google.as_object().unwrap().clone());
    let messages =
        json!({"model": "a", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10});
    let messages = Query::to("/v1/messages", messages.as_object().unwrap().clone());
    let responses = json!({"model": "a", "input": "hi"});
    let responses = Query::to("/v1/responses", responses.as_object().unwrap().clone());
    for question in [Query::new("a", "hi"), google, messages, responses] {
        let mut stream = pointsman.stream(question).await.unwrap();
        assert_eq!(stream.upstream(), Some("a:m"));
        let mut texts = Vec::new();
        while let Some(event) = stream.next().await {
            texts.extend(Some(event.unwrap().text).filter(|text| !text.is_empty()));
        }
        assert_eq!(texts, ["be", "gun"]);
    }
}

#[tokio::test]
async fn what_is_refused_or_breaks_off_says_why() {
    let a = ScriptedUpstream::playing([
        Behaviour::streams(&["be", "gun"]).reset(At::AfterPart(2)),
        Behaviour::error(400, "bad_thing", "no such thing"),
    ])
    .await;
    let b = ScriptedUpstream::start().await;
    let pointsman = started(TWO, &[("a", &a), ("b", &b)]).await;
    let mut stream = pointsman.stream(Query::new("a", "hi")).await.unwrap();
    let (mut text, mut end) = (String::new(), None);
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => text += &event.text,
            Err(error) => end = Some(error),
        }
    }
    assert_eq!(text, "be");
    assert!(matches!(end, Some(AskError::BrokenOff(_))), "{end:?}");
    let asked = async |target: &str| match pointsman.ask(Query::new(target, "hi")).await {
        Err(AskError::Refused {
            status,
            code,
            message,
            ..
        }) => (status, code, message),
        other => panic!("{other:?}"),
    };
    let (status, code, message) = asked("a").await;
    assert_eq!((status, code.as_str()), (400, "bad_thing"));
    assert_eq!(message, "no such thing");
    let (status, code, _) = asked("nobody").await;
    assert_eq!((status, code.as_str()), (404, "model_not_found"));
    let nowhere = Query::to("/nowhere", serde_json::Map::new());
    let error = pointsman.ask(nowhere).await.unwrap_err();
    assert!(error.to_string().starts_with("404 "), "{error}");
}

#[tokio::test]
async fn a_shutdown_waits_for_what_is_under_way_and_takes_nothing_more() {
    let gate = Gate::new();
    let held = Behaviour::says("at last").gate(At::BeforeHead, &gate);
    let a = ScriptedUpstream::playing([held]).await;
    let b = ScriptedUpstream::start().await;
    let pointsman = started(TWO, &[("a", &a), ("b", &b)]).await;
    let asking = tokio::spawn({
        let pointsman = pointsman.clone();
        async move { pointsman.ask(Query::new("a", "hi")).await }
    });
    a.wait_for(1).await;
    let ending = tokio::spawn({
        let pointsman = pointsman.clone();
        async move { pointsman.shut_down().await }
    });
    until("the shutdown to begin", async || {
        pointsman.state()["process"]["draining"] == true
    })
    .await;
    let late = pointsman.ask(Query::new("a", "hi")).await;
    assert_eq!(late.unwrap_err(), AskError::ShutDown);
    assert!(!ending.is_finished());
    gate.open();
    assert_eq!(asking.await.unwrap().unwrap().text(), "at last");
    bounded("the end", ending).await.unwrap();
    // Once more is no harm.
    bounded("the end", pointsman.shut_down()).await;
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let a = ScriptedUpstream::playing([Behaviour::says("never").hang(At::BeforeHead)]).await;
    let b = ScriptedUpstream::start().await;
    let yaml = format!("server: {{drain: {{timeout: 50ms}}}}{TWO}");
    let pointsman = started(&yaml, &[("a", &a), ("b", &b)]).await;
    let asking = tokio::spawn({
        let pointsman = pointsman.clone();
        async move { pointsman.ask(Query::new("a", "hi")).await }
    });
    a.wait_for(1).await;
    bounded("the end", pointsman.shut_down()).await;
    let Err(AskError::Refused { code, .. }) = asking.await.unwrap() else {
        panic!("it was answered")
    };
    assert_eq!(code, "draining");
}

#[tokio::test]
async fn a_configuration_with_mistakes_says_all_of_them() {
    let error = Configuration::from_yaml("llm: {providers: [{name: x, keyz: 1}, {nam: y}]}");
    let text = error.unwrap_err().to_string();
    assert!(text.contains("keyz") && text.contains("nam"), "{text}");
    let config = Configuration::from_yaml(
        TWO.replace("<a>", "http://127.0.0.1:1/v1")
            .replace("<b>", "nowhere"),
    );
    assert!(config.is_err());
    let question = Query::new("demo", "hello").deadline(Duration::from_secs(5));
    let pointsman = Pointsman::start(&Configuration::demo().unwrap())
        .await
        .unwrap();
    let answer = pointsman.ask(question).await.unwrap();
    assert!(answer.text().ends_with("hello"), "{answer:?}");
}
