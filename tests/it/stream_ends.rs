//! How streams end: what is the end of an answer and what only looks like it, what a caller that gives up early
//! gets, what clients understand of an answer that was cut, and what becomes of the connection afterwards.

use serde_json::{Value, json};

use crate::support::behaviour::{DONE, chunk, error_event, event, finish, role};
use crate::support::client::{errors, spoken};
use crate::support::gateway::Place;
use crate::support::{At, Behaviour, Gateway, ScriptedUpstream, chat_stream, ms};

const LONE: &str = "
llm:
  providers:
    - {name: p, base_url: <p>, model: m, api_key: kp, retry: {same_upstream: 0}, timeouts: TIMEOUTS}
";

const USAGE: &str =
    r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#;

const ASKS_USAGE: &str = r#"{"model":"p","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#;

async fn lone(timeouts: &str, behaviour: Behaviour) -> (ScriptedUpstream, Gateway) {
    let upstream = ScriptedUpstream::playing([behaviour]).await;
    let yaml = LONE.replace("TIMEOUTS", timeouts);
    let gateway = Gateway::start(&yaml, &[("p", &upstream)]).await;
    (upstream, gateway)
}

async fn asked(gateway: &Gateway) -> String {
    gateway.chat_stream("p").stream().await.text().await
}

/// Text together with a finish reason.
fn ends(text: &str, reason: &str) -> String {
    chunk(text).replace(
        r#""finish_reason":null"#,
        &format!(r#""finish_reason":"{reason}""#),
    )
}

/// The data of all events that are JSON.
fn objects(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

#[track_caller]
fn whole(text: &str, says: &str) {
    assert_eq!(spoken(text), says, "{text}");
    assert!(text.ends_with(DONE) && errors(text).is_empty(), "{text}");
    assert_eq!(text.matches("[DONE]").count(), 1, "{text}");
}

#[track_caller]
fn cut(text: &str, says: &str) {
    assert_eq!(spoken(text), says, "{text}");
    assert_eq!(errors(text).len(), 1, "{text}");
    assert!(!text.contains("[DONE]"), "{text}");
}

#[tokio::test]
async fn what_follows_a_finish_reason_is_read_on_however_late_it_comes() {
    let call = |index: u32| {
        event(&format!(
            r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":{index},"id":"c{index}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}]}},"finish_reason":"tool_calls"}}]}}"#
        ))
    };
    let cases = [
        vec![ends("one ", "stop"), ends("two", "stop"), DONE.to_owned()],
        vec![call(0), call(1), DONE.to_owned()],
        // A finish reason by itself, and an upstream that goes on all the same, twice.
        vec![
            chunk("one "),
            finish("stop"),
            chunk("two "),
            chunk("three"),
            finish("stop"),
            DONE.to_owned(),
        ],
        // A finish reason, and nothing but the connection's end.
        vec![ends("one ", "stop"), ends("two", "stop")],
    ];
    let cases = cases.map(|events| async move {
        let late = Behaviour::events(events.clone())
            .pause(At::AfterPart(1), ms(2300))
            .pause(At::AfterPart(2), ms(100));
        let (_p, gateway) = lone("{idle: 20s}", late).await;
        let text = asked(&gateway).await;
        let missing = events.iter().find(|event| !text.contains(event.as_str()));
        assert_eq!(missing, None, "{text}");
        assert!(text.ends_with(DONE) && errors(&text).is_empty(), "{text}");
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn a_finish_reason_beside_text_is_no_end_and_giving_up_after_it_looks_cut() {
    let cases = [
        (
            "with the text",
            vec![ends("one ", "stop"), ends("two", "stop")],
        ),
        (
            "before more text",
            vec![chunk("one "), finish("stop"), chunk("two")],
        ),
        (
            "again after more text",
            vec![chunk("one "), finish("stop"), chunk("two"), finish("stop")],
        ),
    ];
    let silent = cases.clone().map(|(name, events)| async move {
        let parts = events.len();
        let hangs = Behaviour::events(events.clone()).hang(At::AfterPart(parts));
        let (_p, gateway) = lone("{idle: 400ms}", hangs).await;
        let text = asked(&gateway).await;
        assert_eq!(spoken(&text), "one two", "{name}: {text}");
        assert!(!text.contains("[DONE]"), "{name}: {text}");
        assert_eq!(errors(&text).len(), 1, "{name}: {text}");
        let (_p, gateway) = lone(
            "{idle: 400ms}",
            Behaviour::events(events).reset(At::AfterPart(parts)),
        )
        .await;
        let text = asked(&gateway).await;
        assert!(!text.contains("[DONE]"), "{name}, reset: {text}");
    });
    futures_util::future::join_all(silent).await;
}

#[tokio::test]
async fn usage_that_was_asked_for_is_waited_for() {
    let late = Behaviour::events([
        role(),
        chunk("hello"),
        finish("stop"),
        event(USAGE),
        DONE.to_owned(),
    ])
    .pause(At::AfterPart(3), ms(6000));
    let (_p, gateway) = lone("{idle: 20s}", late).await;
    let text = gateway.post_chat(ASKS_USAGE).stream().await.text().await;
    whole(&text, "hello");
    assert!(text.contains(&event(USAGE)), "{text}");
    let line = gateway.logged(r#""outcome":"answered""#).await;
    assert!(line.contains(r#""completion_tokens":7"#), "{line}");
}

#[tokio::test]
async fn usage_that_never_comes_is_not_waited_for_longer_than_idle() {
    let never = Behaviour::events([role(), chunk("hello"), finish("stop")]).hang(At::AfterPart(3));
    let (_p, gateway) = lone("{idle: 400ms}", never).await;
    let text = gateway.post_chat(ASKS_USAGE).stream().await.text().await;
    whole(&text, "hello");
}

const READ_TIMEOUT: &str = "x-stainless-read-timeout";

#[tokio::test]
async fn an_sdks_read_timeout_bounds_the_pauses_of_a_stream_not_the_stream() {
    let words = ["a", "b", "c", "d", "e", "f"];
    let steady = Behaviour::streams(&words).between(ms(300));
    let (_p, gateway) = lone("{}", steady).await;
    let call = gateway.chat_stream("p").header(READ_TIMEOUT, "1");
    whole(&call.stream().await.text().await, "abcdef");

    let (p, gateway) = lone("{}", Behaviour::streams(&words).hang(At::AfterPart(3))).await;
    for _ in 0..8 {
        let call = gateway.chat_stream("p").header(READ_TIMEOUT, "0.2");
        let text = call.stream().await.text().await;
        cut(&text, "ab");
        assert_eq!(errors(&text), ["deadline_exceeded"], "{text}");
    }
    assert_eq!(
        p.count(),
        8,
        "the haste of a caller is not held against an upstream"
    );
}

#[tokio::test]
async fn a_read_timeout_bounds_the_wait_for_the_head_of_a_stream_and_for_a_whole_answer() {
    let silent = || Behaviour::streams(&["x"]).hang(At::BeforeHead);
    let (_p, gateway) = lone("{}", silent()).await;
    for call in [gateway.chat_stream("p"), gateway.chat("p")] {
        let answer = call.header(READ_TIMEOUT, "0.3").send().await;
        answer.assert_error(504, "deadline_exceeded");
    }
}

#[tokio::test]
async fn comments_count_for_a_read_timeout() {
    let late = Behaviour::streams(&["late"]).late(ms(900));
    let p = ScriptedUpstream::playing([late]).await;
    let yaml = LONE.replace("TIMEOUTS", "{}") + "server: {stream_keepalive: 100ms}\n";
    let gateway = Gateway::start(&yaml, &[("p", &p)]).await;
    let call = gateway.chat_stream("p").header(READ_TIMEOUT, "0.4");
    whole(&call.stream().await.text().await, "late");
}

#[tokio::test]
async fn every_stream_tells_proxies_not_to_collect_it() {
    for kind in [
        "text/event-stream; charset=utf-8",
        "",
        "text/plain",
        "application/octet-stream",
    ] {
        let labelled = Behaviour::streams(&["x"])
            .content_type(kind)
            .header("x-accel-buffering", "yes");
        let (_p, gateway) = lone("{}", labelled).await;
        let stream = gateway.chat_stream("p").stream().await;
        assert_eq!(stream.header("x-accel-buffering"), "no", "{kind}");
        let wanted = match kind.starts_with("text/event-stream") {
            true => kind,
            false => "text/event-stream",
        };
        assert_eq!(stream.header("content-type"), wanted, "{kind}");
    }
}

#[tokio::test]
async fn the_connection_of_a_stream_that_ended_is_used_again() {
    let whole = || {
        let events = [chunk("x"), finish("stop"), DONE.to_owned()];
        Behaviour::events(events).pause(At::AfterPart(3), ms(5))
    };
    let failed = || {
        let events = [chunk("x"), error_event("boom"), DONE.to_owned()];
        Behaviour::events(events).pause(At::AfterPart(2), ms(5))
    };
    let refused = || {
        let events = [error_event("boom"), DONE.to_owned()];
        Behaviour::events(events).pause(At::AfterPart(1), ms(5))
    };
    for (name, behaviour) in [
        ("whole", whole()),
        ("failed", failed()),
        ("refused", refused()),
    ] {
        let p = ScriptedUpstream::playing([behaviour]).await;
        let yaml = LONE.replace("TIMEOUTS", "{}").replace(
            "api_key: kp,",
            "api_key: kp, circuit_breaker: {failure_threshold: 0, failure_rate: 0},",
        );
        let gateway = Gateway::start(&yaml, &[("p", &p)]).await;
        for _ in 0..8 {
            asked(&gateway).await;
            tokio::time::sleep(ms(30)).await;
        }
        assert_eq!(p.count(), 8, "{name}");
        assert!(p.connections() <= 2, "{name}: {}", p.connections());
    }
}

#[tokio::test]
async fn a_limit_for_the_first_token_limits_the_wait_for_the_head() {
    let silent = ScriptedUpstream::playing([Behaviour::streams(&["x"]).hang(At::BeforeHead)]).await;
    let well = ScriptedUpstream::playing([Behaviour::streams(&["well"])]).await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: ka, retry: {same_upstream: 0}, timeouts: {first_token: 300ms}}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
  virtual:
    - {name: p, upstreams: [a, b]}
dispatch: {deadline: 8s, deadline_hedge: 0}
log: {format: json, level: debug}
";
    let gateway = Gateway::start(yaml, &[("a", &silent), ("b", &well)]).await;
    whole(&asked(&gateway).await, "well");
    gateway.logged("no first token within 300ms").await;
}

#[tokio::test]
async fn the_tokens_of_a_rescued_answer_are_counted_once() {
    let words: Vec<String> = (0..100).map(|n| format!("word{n:02} ")).collect();
    let cut = |from: usize, to: usize| {
        let mut events = vec![role()];
        events.extend(words[from..to].iter().map(|word| chunk(word)));
        events
    };
    let mut rest = cut(40, 100);
    rest.push(finish("stop"));
    rest.push(event(
        r#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":60,"total_tokens":70}}"#,
    ));
    rest.push(DONE.to_owned());
    let first = Behaviour::events(cut(0, 40)).close(At::AfterPart(41));
    let a = ScriptedUpstream::playing([first]).await;
    let b = ScriptedUpstream::playing([Behaviour::events(rest)]).await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: ka, retry: {same_upstream: 0}}
    - {name: b, base_url: <b>, model: mb, api_key: kb, prefill: assistant}
  virtual:
    - {name: p, upstreams: [a, b], rescue: continue}
";
    let places: [(&str, &dyn Place); 2] = [("a", &a), ("b", &b)];
    let gateway = Gateway::start(yaml, &places).await;
    let text = gateway.post_chat(ASKS_USAGE).stream().await.text().await;
    whole(&text, &words.concat());
    let used = objects(&text).pop().unwrap()["usage"].clone();
    assert_eq!(used["completion_tokens"], json!(100), "{text}");
    let line = gateway.logged(r#""outcome":"answered""#).await;
    assert!(line.contains(r#""completion_tokens":100"#), "{line}");
}

#[tokio::test]
async fn an_end_mark_without_a_finish_reason_is_no_end() {
    let (_p, gateway) = lone(
        "{}",
        Behaviour::events([role(), chunk("half"), DONE.to_owned()]),
    )
    .await;
    let text = asked(&gateway).await;
    cut(&text, "half");
    assert!(text.contains("without a finish reason"), "{text}");
    let line = gateway
        .logged(r#""outcome":"invalid_upstream_response""#)
        .await;
    assert!(line.contains("malformed"), "{line}");
    // A last word on usage is as good as a finish reason.
    let told = [role(), chunk("all"), event(USAGE), DONE.to_owned()];
    let (_p, gateway) = lone("{}", Behaviour::events(told)).await;
    whole(&asked(&gateway).await, "all");
    // One that is followed by more text is none.
    let told = [chunk("ha"), event(USAGE), chunk("lf"), DONE.to_owned()];
    let (_p, gateway) = lone("{}", Behaviour::events(told)).await;
    cut(&asked(&gateway).await, "half");
    let text = r#"data: {"object":"text_completion","choices":[{"index":0,"text":"half","finish_reason":null}]}"#;
    let events = [format!("{text}\n\n"), DONE.to_owned()];
    let (_p, gateway) = lone("{}", Behaviour::events(events)).await;
    let body = r#"{"model":"p","prompt":"hi","stream":true}"#;
    let stream = gateway.post("/v1/completions", body).stream().await;
    let text = stream.text().await;
    assert!(
        !text.contains("[DONE]") && errors(&text).len() == 1,
        "{text}"
    );
}

#[tokio::test]
async fn an_end_mark_without_a_finish_reason_is_finished_by_another_upstream() {
    let half = Behaviour::events([role(), chunk("Hel"), DONE.to_owned()]);
    let a = ScriptedUpstream::playing([half]).await;
    let b = ScriptedUpstream::playing([Behaviour::streams(&["Hello"])]).await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: ka, retry: {same_upstream: 0}}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
  virtual:
    - {name: p, upstreams: [a, b], rescue: restart}
";
    let places: [(&str, &dyn Place); 2] = [("a", &a), ("b", &b)];
    let gateway = Gateway::start(yaml, &places).await;
    whole(&asked(&gateway).await, "Hello");
}

/// What coding agents look for in a message before they ask again.
#[track_caller]
fn says_ask_again(message: &Value) {
    let message = message.as_str().unwrap().to_lowercase();
    assert!(
        message.contains("server error") || message.contains("connection lost"),
        "{message}"
    );
}

#[tokio::test]
async fn the_error_of_a_cut_chat_stream_says_that_asking_again_may_help() {
    let begun = || Behaviour::events([role(), chunk("Hel"), chunk("lo")]);
    let cases = [
        ("reset", "{}", begun().reset(At::AfterPart(2))),
        ("silent", "{idle: 300ms}", begun().hang(At::AfterPart(2))),
        (
            "an error of its own",
            "{}",
            Behaviour::events([chunk("Hel"), error_event("engine died"), DONE.to_owned()]),
        ),
        (
            "an error without a type",
            "{}",
            Behaviour::events([
                chunk("Hel"),
                event(r#"{"error":{"message":"engine died","code":500}}"#),
            ]),
        ),
        (
            "an error as a text",
            "{}",
            Behaviour::events([chunk("Hel"), event(r#"{"error":"engine died"}"#)]),
        ),
        (
            "an error by its event's name",
            "{}",
            Behaviour::events([
                chunk("Hel"),
                "event: error\ndata: {\"message\":\"engine died\"}\n\n".to_owned(),
            ]),
        ),
    ];
    let cases = cases.map(|(name, timeouts, behaviour)| async move {
        let (_p, gateway) = lone(timeouts, behaviour).await;
        let text = asked(&gateway).await;
        assert_eq!(spoken(&text), "Hel", "{name}: {text}");
        assert!(!text.contains("[DONE]"), "{name}: {text}");
        let error = objects(&text).pop().unwrap()["error"].clone();
        says_ask_again(&error["message"]);
        assert!(error["type"].is_string(), "{name}: {text}");
        assert!(error["code"].is_string(), "{name}: {text}");
        if name.contains("error") {
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("engine died"), "{name}: {text}");
        }
    });
    futures_util::future::join_all(cases).await;
}

/// Events of a response that has begun, numbered from 0.
fn begun_response() -> Vec<String> {
    let created = r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_7","object":"response","created_at":77,"status":"in_progress","model":"m-1","output":[],"metadata":{"a":"b"}}}"#;
    let delta = r#"{"type":"response.output_text.delta","sequence_number":1,"item_id":"i","output_index":0,"content_index":0,"delta":"Hel"}"#;
    vec![
        format!("event: response.created\ndata: {created}\n\n"),
        format!("event: response.output_text.delta\ndata: {delta}\n\n"),
    ]
}

async fn responded(timeouts: &str, behaviour: Behaviour) -> String {
    let (_p, gateway) = lone(timeouts, behaviour).await;
    let body = r#"{"model":"p","input":"hi","stream":true}"#;
    let stream = gateway.post("/v1/responses", body).stream().await;
    stream.text().await
}

#[tokio::test]
async fn a_cut_response_fails_with_the_next_number_and_a_code_that_clients_know() {
    let with = |more: &[&str]| {
        let mut events = begun_response();
        events.extend(more.iter().map(|&event| event.to_owned()));
        Behaviour::events(events)
    };
    let cases = [
        (
            "reset",
            "{}",
            with(&[": x\n\n", "data: {}\n\n"]).reset(At::AfterPart(3)),
        ),
        ("closed", "{}", with(&[])),
        ("silent", "{idle: 300ms}", with(&[]).hang(At::AfterPart(2))),
        ("an end mark", "{}", with(&[DONE])),
        (
            "an error without a number",
            "{}",
            with(&[
                "event: error\ndata: {\"type\":\"error\",\"code\":\"oops\",\"message\":\"engine died\"}\n\n",
            ]),
        ),
        (
            "an error in another form",
            "{}",
            with(&["data: {\"error\":{\"message\":\"engine died\",\"code\":500}}\n\n"]),
        ),
    ];
    let cases = cases.map(|(name, timeouts, behaviour)| async move {
        let text = responded(timeouts, behaviour).await;
        let (_, last) = text.trim_end().rsplit_once("\n\n").unwrap();
        assert!(
            last.starts_with("event: response.failed\n"),
            "{name}: {text}"
        );
        let last = objects(last).pop().unwrap();
        assert_eq!(last["type"], "response.failed", "{name}: {text}");
        assert_eq!(last["sequence_number"], json!(2), "{name}: {text}");
        let response = &last["response"];
        assert_eq!(response["status"], "failed", "{name}: {text}");
        assert_eq!(response["object"], "response", "{name}: {text}");
        let known = [&response["id"], &response["created_at"], &response["model"]];
        assert_eq!(
            known,
            [&json!("resp_7"), &json!(77), &json!("m-1")],
            "{name}"
        );
        assert_eq!(response["error"]["code"], "server_error", "{name}: {text}");
        says_ask_again(&response["error"]["message"]);
        assert!(!text.contains("[DONE]"), "{name}: {text}");
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn an_upstreams_own_failed_response_goes_on_as_it_came() {
    let failed = "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":2,\"response\":{\"id\":\"resp_7\",\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"engine died\"}}}\n\n";
    let mut events = begun_response();
    events.push(failed.to_owned());
    let text = responded("{}", Behaviour::events(events)).await;
    assert!(text.ends_with(failed), "{text}");
}

#[tokio::test]
async fn a_response_that_fails_after_the_first_comment_has_all_its_parts() {
    let p = ScriptedUpstream::playing([Behaviour::fails(500).late(ms(300))]).await;
    let yaml = LONE.replace("TIMEOUTS", "{}") + "server: {stream_keepalive: 50ms}\n";
    let gateway = Gateway::start(&yaml, &[("p", &p)]).await;
    let body = r#"{"model":"p","input":"hi","stream":true}"#;
    let stream = gateway.post("/v1/responses", body).stream().await;
    let text = stream.text().await;
    let last = objects(&text).pop().unwrap();
    assert_eq!(last["type"], "response.failed", "{text}");
    assert_eq!(last["sequence_number"], json!(0), "{text}");
    assert_eq!(last["response"]["error"]["code"], "server_error", "{text}");
    assert!(last["response"]["id"].is_string(), "{text}");
    says_ask_again(&last["response"]["error"]["message"]);
    let chat = gateway.post_chat(chat_stream("p")).stream().await;
    let text = chat.text().await;
    says_ask_again(&objects(&text).pop().unwrap()["error"]["message"]);
}

#[tokio::test]
async fn a_connection_that_ends_is_no_end_where_every_part_has_a_finish_reason() {
    let body = |events: &[String]| Behaviour::events(events.to_vec());
    for reason in ["stop", "null", "None"] {
        let events = [ends("one ", reason), ends("two", reason)];
        let (_p, gateway) = lone("{}", body(&events).until_close()).await;
        cut(&asked(&gateway).await, "one two");
    }
    let both = [ends("one ", "stop"), ends("two", "stop")];
    for last in [DONE.to_owned(), event(USAGE)] {
        let events = [&both[..], &[last]].concat();
        let (_p, gateway) = lone("{}", body(&events).until_close()).await;
        whole(&asked(&gateway).await, "one two");
    }
    // Chunks say where a body ends.
    let (_p, gateway) = lone("{}", body(&both).chunked()).await;
    whole(&asked(&gateway).await, "one two");
}
