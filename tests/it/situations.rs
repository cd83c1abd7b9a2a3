//! Sixteen situations that a failover must get right, all in one configuration: one virtual provider of two
//! upstreams, defaults otherwise. Times are scaled down.

use std::time::{Duration, Instant};

use crate::support::behaviour::{DONE, chunk, event, finish, role};
use crate::support::client::spoken;
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream, ms, until};

/// A breaker's `recovery_time` (15 s in life).
const RECOVERY: Duration = ms(2000);

const SETUP: &str = "
llm:
  providers:
    - name: first
      base_url: <first>
      model: m1
      api_key: k1
      timeouts: {first_byte: 3s, first_token: 12s, idle: 4s, response: 12s}
      retry: {waits: [10ms]}
      circuit_breaker: {recovery_time: 2s}
    - {name: second, base_url: <second>, model: m2, api_key: k2, prefill: prefix}
  virtual:
    - {name: v, rescue: continue, upstreams: [first, second]}
dispatch: {patience: 1s, hedge: {after: 2s, max_ratio: 1}}
";

async fn setup() -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let first = ScriptedUpstream::playing([Behaviour::says("first")]).await;
    let second = ScriptedUpstream::playing([Behaviour::says("second")]).await;
    let gateway = Gateway::start(SETUP, &[("first", &first), ("second", &second)]).await;
    (first, second, gateway)
}

fn words(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("w{n} ")).collect()
}

fn streamed(words: &[String]) -> Behaviour {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Behaviour::streams(&words)
}

/// What a streamed answer says, and whether it ends as a whole one does.
async fn stream(gateway: &Gateway) -> (String, bool) {
    let text = gateway.chat_stream("v").stream().await.text().await;
    (spoken(&text), text.ends_with(DONE))
}

#[tokio::test]
async fn a_rate_limit_that_names_a_time_within_patience_is_waited_out_and_not_a_moment_less() {
    let (first, second, gateway) = setup().await;
    let limited = Behaviour::rate_limited().header("retry-after-ms", "300");
    first.on(Match::any(), [limited, Behaviour::says("first")]);
    assert_eq!(gateway.chat("v").send().await.says(), "first");
    let times = first.requests();
    assert_eq!((times.len(), second.count()), (2, 0));
    assert!(times[1].at - times[0].at >= ms(300));
}

#[tokio::test]
async fn an_endless_rate_limit_without_a_time_costs_one_call() {
    let (first, second, gateway) = setup().await;
    first.on(Match::any(), [Behaviour::rate_limited()]);
    for _ in 0..5 {
        assert_eq!(gateway.chat("v").send().await.says(), "second");
    }
    assert_eq!((first.count(), second.count()), (1, 5));
}

#[tokio::test]
async fn one_500_is_tried_again_where_it_came_from() {
    let (first, second, gateway) = setup().await;
    first.on(
        Match::any(),
        [Behaviour::fails(500), Behaviour::says("first")],
    );
    assert_eq!(gateway.chat("v").send().await.says(), "first");
    assert_eq!((first.count(), second.count()), (2, 0));
}

#[tokio::test]
async fn endless_503s_are_served_by_the_second_and_soon_without_a_call() {
    let (first, second, gateway) = setup().await;
    first.on(Match::any(), [Behaviour::fails(503)]);
    for _ in 0..10 {
        assert_eq!(gateway.chat("v").send().await.says(), "second");
    }
    assert_eq!(second.count(), 10);
    assert!(first.count() <= 6, "{} calls", first.count());
}

#[tokio::test]
async fn a_reset_before_the_headers_is_hidden() {
    let (first, second, gateway) = setup().await;
    first.on(Match::any(), [Behaviour::says("").reset(At::BeforeHead)]);
    assert_eq!(gateway.chat("v").send().await.says(), "second");
    assert_eq!((first.count(), second.count()), (2, 1));
}

#[tokio::test]
async fn a_silent_route_is_asked_once() {
    let (first, second, gateway) = setup().await;
    first.on(Match::any(), [Behaviour::says("").hang(At::BeforeHead)]);
    second.on(Match::any(), [streamed(&words(0, 3))]);
    assert_eq!(stream(&gateway).await, (words(0, 3).concat(), true));
    assert_eq!((first.count(), second.count()), (1, 1));
}

#[tokio::test]
async fn a_first_token_that_is_late_is_not_waited_for() {
    let (first, second, gateway) = setup().await;
    let late = streamed(&["first".to_owned()]).pause(At::AfterPart(1), Duration::from_secs(8));
    first.on(Match::any(), [late]);
    second.on(Match::any(), [streamed(&["second".to_owned()])]);
    assert_eq!(stream(&gateway).await, ("second".to_owned(), true));
    assert_eq!(first.count(), 1);
    first.cancelled().await;
}

#[tokio::test]
async fn a_stream_cut_after_forty_of_sixty_tokens_is_delivered_whole() {
    let (first, second, gateway) = setup().await;
    // A role comes first.
    let cut = streamed(&words(0, 60)).reset(At::AfterPart(41));
    first.on(Match::any(), [cut]);
    second.on(Match::any(), [streamed(&words(0, 60))]);
    let (said, whole) = stream(&gateway).await;
    assert_eq!(said, words(0, 60).concat(), "no token twice, none missing");
    assert!(whole);
}

#[tokio::test]
async fn a_stall_shorter_than_the_idle_limit_ends_nothing() {
    let (first, second, gateway) = setup().await;
    let stalls = streamed(&words(0, 6)).pause(At::AfterPart(4), Duration::from_secs(1));
    first.on(Match::any(), [stalls]);
    assert_eq!(stream(&gateway).await, (words(0, 6).concat(), true));
    assert_eq!((first.count(), second.count()), (1, 0));
}

#[tokio::test]
async fn an_answer_with_a_malformed_event_in_the_middle_is_delivered_whole_by_another() {
    let (first, second, gateway) = setup().await;
    let events = [
        role(),
        chunk("Hel"),
        event("{\"choices\":[{\"index\":0,\"del"),
        chunk("p"),
        finish("stop"),
        DONE.to_owned(),
    ];
    first.on(Match::any(), [Behaviour::events(events)]);
    second.on(Match::any(), [Behaviour::streams(&["lo"])]);
    assert_eq!(stream(&gateway).await, ("Hello".to_owned(), true));
    assert_eq!((first.count(), second.count()), (1, 1));
}

#[tokio::test]
async fn a_missing_end_mark_is_added_within_moments() {
    let (first, second, gateway) = setup().await;
    let open = Behaviour::events([role(), chunk("all"), finish("stop")]).hang(At::AfterPart(3));
    first.on(Match::any(), [open]);
    assert_eq!(stream(&gateway).await, ("all".to_owned(), true));
    assert_eq!((first.count(), second.count()), (1, 0));
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_not_sent_to_that_model_again() {
    let (first, second, gateway) = setup().await;
    let too_long = Behaviour::error(400, "context_length_exceeded", "maximum context length");
    first.on(Match::any(), [too_long]);
    gateway.chat("v").send().await;
    assert_eq!(first.count(), 1);
    assert!(second.count() <= 1);
}

#[tokio::test]
async fn a_content_filter_is_passed_on_and_not_argued_with() {
    let (first, second, gateway) = setup().await;
    let filtered = Behaviour::error(400, "content_filter", "The response was filtered");
    first.on(Match::any(), [filtered]);
    let answer = gateway.chat("v").send().await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "content_filter")
    );
    assert_eq!((first.count(), second.count()), (1, 0));
}

#[tokio::test]
async fn a_cut_whose_fallback_rejects_the_prefill_is_still_delivered_whole() {
    let (first, second, gateway) = setup().await;
    first.on(
        Match::any(),
        [streamed(&words(0, 60)).reset(At::AfterPart(41))],
    );
    let rejects = Behaviour::error(400, "invalid_request_error", "prefill is not supported");
    second.on(Match::any(), [rejects, streamed(&words(0, 60))]);
    assert_eq!(stream(&gateway).await, (words(0, 60).concat(), true));
    let asked = second.requests();
    assert_eq!((first.count(), asked.len()), (1, 2));
    let messages = |n: usize| asked[n].json()["messages"].clone();
    // What the reset left of the forty.
    let sent = messages(0)[1]["content"].as_str().unwrap().to_owned();
    assert!(words(0, 40).concat().starts_with(&sent), "{sent}");
    assert_eq!(messages(1).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn through_an_outage_everything_is_served_and_the_first_is_back_in_time() {
    let (first, _second, gateway) = setup().await;
    first.on(Match::any(), [Behaviour::fails(503)]);
    for _ in 0..20 {
        assert_eq!(gateway.chat("v").send().await.says(), "second");
        tokio::time::sleep(RECOVERY / 10).await;
    }
    assert!(first.count() <= 14, "{} calls for 20", first.count());
    first.on(Match::any(), [Behaviour::says("first")]);
    let recovered = Instant::now();
    until("the first upstream to be back", async || {
        gateway.chat("v").send().await.says() == "first"
    })
    .await;
    assert!(
        recovered.elapsed() < 3 * RECOVERY,
        "{:?}",
        recovered.elapsed()
    );
}

#[tokio::test]
async fn model_and_usage_after_a_failover_are_those_of_who_answered() {
    let (first, second, gateway) = setup().await;
    first.on(Match::any(), [Behaviour::fails(500)]);
    let body = r#"{"id":"c","object":"chat.completion","created":1,"model":"m2-2026","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}"#;
    second.on(Match::any(), [Behaviour::json(200, body)]);
    let answer = gateway.chat("v").send().await;
    assert_eq!(answer.text(), body);
    assert_eq!(answer.header("x-pointsman-upstream"), "second:m2");
    assert_eq!(answer.header("x-pointsman-attempts"), "3");
}
