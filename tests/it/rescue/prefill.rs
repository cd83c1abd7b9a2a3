//! Going on from what was sent: how an upstream is asked to, and what follows when it will not.

use super::*;

#[tokio::test]
async fn an_upstream_that_can_goes_on_from_what_was_sent() {
    for (form, fingerprint, asked) in [
        ("prefix", "prefix", Value::Null),
        ("partial", "partial", Value::Null),
        ("assistant", "none", Value::Null),
        ("continue_final_message", "none", json!(true)),
    ] {
        let three = three("continue", form, "").await;
        three.b_says(Behaviour::streams(&[" wor", "ld"]));
        let text = three.asked_with(r#","max_tokens":10"#).await;
        whole(&text, "Hello world");
        let request = three.b.requests()[0].json();
        assert_eq!(request["model"], "mb", "{form}");
        let last = &request["messages"][1];
        assert_eq!(
            (&last["role"], &last["content"]),
            (&json!("assistant"), &json!("Hello")),
            "{form}"
        );
        assert_eq!(
            last.get(fingerprint),
            (fingerprint != "none").then_some(&json!(true)),
            "{form}"
        );
        assert_eq!(request["continue_final_message"], asked, "{form}");
        assert_eq!(request["max_tokens"], 8, "{form}");
    }
}

#[tokio::test]
async fn a_prefill_goes_to_a_place_of_its_own_where_there_is_one() {
    let a = ScriptedUpstream::playing([hello().reset(At::AfterPart(3))]).await;
    let b = ScriptedUpstream::playing([Behaviour::streams(&["other"])]).await;
    let beta = ScriptedUpstream::playing([Behaviour::streams(&[" world"])]).await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: ka}
    - {name: b, base_url: <b>, model: mb, api_key: kb, prefill: prefix, prefill_url: <beta>}
  virtual:
    - {name: v, upstreams: [a, b], rescue: continue}
";
    let places: [(&str, &dyn Place); 3] = [("a", &a), ("b", &b), ("beta", &beta)];
    let gateway = Gateway::start(yaml, &places).await;
    let text = gateway.chat_stream("v").stream().await.text().await;
    whole(&text, "Hello world");
    assert_eq!((b.count(), beta.keys()), (0, vec!["kb".to_owned()]));
}

#[tokio::test]
async fn an_upstream_that_repeats_the_prefill_is_not_heard_twice() {
    let three = three("continue", "prefix_echoed", "").await;
    three.b_says(Behaviour::streams(&["Hello", " world"]));
    whole(&three.asked().await, "Hello world");
}

#[tokio::test]
async fn one_that_can_go_on_is_preferred_to_one_that_must_start_again() {
    let a = ScriptedUpstream::playing([hello().reset(At::AfterPart(3))]).await;
    let b = ScriptedUpstream::playing([Behaviour::streams(&[" world"])]).await;
    let c = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let yaml = CHAIN
        .replace("RESCUE", "continue")
        .replace("PREFILL", "prefix")
        .replace("[a, b, c]", "[a, c, b]");
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b), ("c", &c)]).await;
    whole(
        &gateway.chat_stream("v").stream().await.text().await,
        "Hello world",
    );
    assert_eq!((b.count(), c.count()), (1, 0));
}

#[tokio::test]
async fn a_refused_prefill_leads_to_a_restart_elsewhere() {
    let three = three("continue", "assistant", "").await;
    three.b_says(Behaviour::error(400, "invalid", "prefill is not supported"));
    three
        .c
        .on(Match::any(), [Behaviour::streams(&["Hello you"])]);
    whole(&three.asked().await, "Hello you");
    assert_eq!(three.counts(), [1, 1, 1]);
    // Nothing is held against it: it is asked again, and its word about a request counts.
    three.b_says(Behaviour::error(400, "invalid", "no such role"));
    let answer = three.gateway.post_chat(body("")).send().await;
    assert_eq!((answer.status, three.b.count()), (400, 2));
}

#[tokio::test]
async fn when_nothing_helps_the_caller_hears_the_first_error() {
    let three = three("continue", "assistant", "").await;
    let events = [role(), chunk("Hello"), error_event("the first one")];
    three.a.on(Match::any(), [Behaviour::events(events)]);
    three.b_says(Behaviour::error(400, "invalid", "prefill is not supported"));
    let text = three.asked().await;
    cut(&text, "Hello");
    assert!(text.contains("the first one"), "{text}");
    assert!(!text.contains("not supported"), "{text}");
    assert_eq!(three.counts(), [1, 2, 1], "the unwilling one comes last");
}
