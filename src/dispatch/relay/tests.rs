//! A relayed stream under a paused clock: the silence of the upstream and that of the caller.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, header};

use super::*;
use crate::dispatch::bench;
use crate::dispatch::{AnswerBody, Dispatch, Endpoint, Request};
use crate::domain::dialect::Operation;
use crate::domain::limits::{DispatchPolicy, Timeouts};
use crate::domain::profile::{ExplicitSettings, Profile, TargetPolicies, TargetPolicy};
use crate::upstream::{SendError, Transport, UpstreamRequest, UpstreamResponse};
use crate::wire::request::RequestDoc;

const S: Duration = Duration::from_secs(1);

const TEXT: &str = r#"{"choices":[{"index":0,"delta":{"content":"x"}}]}"#;
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const BOTH: &str = r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
const DONE: &str = "[DONE]";

/// Four parts of an answer and its end.
const WHOLE: &[&str] = &[TEXT, TEXT, TEXT, TEXT, STOP, DONE];

/// Streams these parts, each so long after it was asked for, then nothing for a day.
struct ScriptedParts(Duration, &'static [&'static str]);

impl Transport for ScriptedParts {
    fn send(&self, _: UpstreamRequest) -> BoxFuture<'static, Result<UpstreamResponse, SendError>> {
        let Self(gap, parts) = *self;
        let parts = parts.iter().map(|part| format!("data: {part}\n\n"));
        let silence = std::iter::once((24 * 3600 * S, ": late\n\n".to_owned()));
        let all = parts.map(move |part| (gap, part)).chain(silence);
        let body = futures_util::stream::iter(all).then(|(gap, part)| async move {
            tokio::time::sleep(gap).await;
            Ok(Bytes::from(part))
        });
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("text/event-stream");
        headers.insert(header::CONTENT_TYPE, kind);
        let reply = UpstreamResponse {
            status: 200,
            headers,
            body: body.boxed(),
        };
        Box::pin(async move { Ok(reply) })
    }
}

/// Streams this beginning, then this piece without a pause and without an end.
struct Flood(&'static str, String);

impl Transport for Flood {
    fn send(&self, _: UpstreamRequest) -> BoxFuture<'static, Result<UpstreamResponse, SendError>> {
        let first = Bytes::from_static(self.0.as_bytes());
        let piece = Bytes::from(self.1.clone());
        let all = futures_util::stream::iter([first]).chain(futures_util::stream::repeat(piece));
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("text/event-stream");
        headers.insert(header::CONTENT_TYPE, kind);
        let reply = UpstreamResponse {
            status: 200,
            headers,
            body: all.map(Ok).boxed(),
        };
        Box::pin(async move { Ok(reply) })
    }
}

/// What a caller reads that takes `pause` before each part, from an upstream that takes `gap`; silence may last
/// for a second.
async fn read(gap: Duration, pause: Duration) -> String {
    let idle = Some(S);
    let asked = Asked {
        pause,
        idle,
        ..Asked::default()
    };
    asked.of(ScriptedParts(gap, WHOLE)).await
}

/// How a stream is asked for.
#[derive(Clone, Copy, Default)]
struct Asked {
    /// The caller takes so long before it reads each part.
    pause: Duration,
    /// The longest silence of the upstream, if it is not the usual one.
    idle: Option<Duration>,
    /// The longest that an attempt may take, and its first content, if it is not the usual time.
    total: Option<Duration>,
    /// The caller's read timeout.
    silence: Option<Duration>,
    /// Whether it asks for token counts.
    usage: bool,
}

impl Asked {
    /// What the caller reads.
    async fn of(self, parts: impl Transport + 'static) -> String {
        let read = read_as("m", TargetPolicies::default(), parts, self).await;
        read.unwrap()
    }
}

/// What the caller of that model reads, where these policies hold. `Err`: it took so long to fail.
async fn read_as(
    model: &str,
    policies: TargetPolicies,
    parts: impl Transport + 'static,
    asked: Asked,
) -> Result<String, Duration> {
    let usual = Timeouts::default();
    let timeouts = Timeouts {
        idle: asked.idle.unwrap_or(usual.idle),
        total: asked.total.unwrap_or(usual.total),
        ..usual
    };
    let endpoint = Endpoint {
        timeouts,
        ..bench::endpoint(parts)
    };
    let (_tree, dispatch) = bench::dispatch(model, endpoint).await;
    let clock = dispatch.clock;
    let dispatch = Arc::new(Dispatch {
        policies,
        ..dispatch
    });
    let body = if asked.usage {
        r#"{"model":"a","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#
    } else {
        r#"{"model":"a","messages":[],"stream":true}"#
    };
    let request = Request {
        id: Arc::from("r"),
        operation: Operation::Chat,
        arrived: clock.now(),
        doc: RequestDoc::parse(Bytes::from_static(body.as_bytes())).unwrap(),
        headers: HeaderMap::new(),
        deadline: DispatchPolicy::default().deadline_of(clock.now(), None),
        begins_within: None,
        silence: asked.silence,
        await_cooldown: None,
        client: None,
        unsupported: None,
        affinity: None,
        fetched: false,
        left_out: Default::default(),
        hints: None,
        payload: None,
        trace: None,
    };
    let Ok(answer) = dispatch.run(request).await else {
        return Err(clock.now().since(Time::ZERO));
    };
    let AnswerBody::Stream(mut relay) = answer.body else {
        panic!("not a stream");
    };
    let mut text = String::new();
    loop {
        tokio::time::sleep(asked.pause).await;
        let Some(Ok(bytes)) = relay.next().await else {
            return Ok(text);
        };
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_reads_slowly_is_not_the_upstreams_silence() {
    let text = read(S / 2, 3 * S).await;
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_falls_silent_is_cut_off_however_slowly_the_caller_reads() {
    for pause in [Duration::ZERO, 3 * S] {
        // Longer than the caller is away: what comes meanwhile was no silence.
        let text = read(5 * S, pause).await;
        assert!(text.contains("fell silent"), "{text}");
        assert!(!text.contains("[DONE]"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn by_a_profile_a_first_token_is_due_unless_the_model_may_think_first() {
    let said = ExplicitSettings {
        rescue: Some(None),
        ..ExplicitSettings::default()
    };
    let policy = TargetPolicy::new(Some(Profile::Interactive), said);
    let ask = |model: &'static str| {
        let policies = TargetPolicies::new(policy, std::collections::BTreeMap::new());
        read_as(
            model,
            policies,
            ScriptedParts(12 * S, WHOLE),
            Asked::default(),
        )
    };
    let took = ask("m").await.unwrap_err();
    assert!((10 * S..11 * S).contains(&took), "{took:?}");
    let begun = ask("deepseek-reasoner").await;
    assert!(begun.is_ok(), "{begun:?}");
}

#[tokio::test(start_paused = true)]
async fn a_finished_answer_gets_its_end_mark_after_moments_of_silence() {
    let begun = tokio::time::Instant::now();
    let text = Asked::default().of(ScriptedParts(S, &[TEXT, STOP])).await;
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(begun.elapsed() < 10 * S, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn token_counts_that_were_waited_for_bring_the_end_nearer() {
    let begun = tokio::time::Instant::now();
    let asked = Asked {
        usage: true,
        ..Asked::default()
    };
    let text = asked.of(ScriptedParts(S, &[TEXT, STOP, USAGE])).await;
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(begun.elapsed() < 15 * S, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_finish_reason_beside_content_is_waited_behind_and_ends_nothing() {
    let late = ScriptedParts(30 * S, &[BOTH, BOTH, DONE]);
    let text = Asked::default().of(late).await;
    assert_eq!(text.matches("\"x\"").count(), 2, "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    for parts in [
        &[BOTH, BOTH][..],
        &[TEXT, STOP, TEXT],
        &[TEXT, STOP, TEXT, STOP],
    ] {
        let text = Asked::default().of(ScriptedParts(S, parts)).await;
        assert!(text.contains("fell silent"), "{text}");
        assert!(!text.contains("[DONE]"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_callers_read_timeout_bounds_each_pause_and_not_the_whole() {
    let asked = Asked {
        silence: Some(2 * S),
        ..Asked::default()
    };
    let text = asked.of(ScriptedParts(S, WHOLE)).await;
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let slow = Asked {
        pause: 5 * S,
        ..asked
    };
    let text = slow.of(ScriptedParts(S, WHOLE)).await;
    assert!(
        text.ends_with("data: [DONE]\n\n"),
        "its own absence is no silence: {text}"
    );
    let text = asked.of(ScriptedParts(3 * S, WHOLE)).await;
    assert!(text.contains("deadline_exceeded"), "{text}");
    assert!(!text.contains("[DONE]"), "{text}");
}

#[tokio::test]
async fn an_upstream_that_never_pauses_is_cut_off_when_its_time_is_over() {
    let first = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
    let empty = "data: {\"choices\":[{\"index\":0,\"delta\":{}}]}\n\n";
    for piece in [
        "\n".repeat(65536),
        ": x\n\n".repeat(1000),
        empty.repeat(100),
    ] {
        let total = Some(S / 4);
        let asked = Asked {
            total,
            ..Asked::default()
        };
        let begun = tokio::time::Instant::now();
        let text = asked.of(Flood(first, piece)).await;
        assert!(begun.elapsed() < 5 * S, "{:?}", begun.elapsed());
        assert!(text.starts_with(first) && !text.contains("[DONE]"));
        assert!(text.contains("silent"), "{}", &text[text.len() - 300..]);
    }
}

#[tokio::test]
async fn what_tells_nothing_goes_out_once_however_much_of_it_there_is() {
    let first = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
    let asked = Asked {
        total: Some(S / 4),
        ..Asked::default()
    };
    let text = asked.of(Flood(first, ": x\n\n".repeat(1000))).await;
    assert!(text.len() < 20_000, "{}", text.len());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_content_is_no_beginning_however_much_of_it_there_is() {
    let empty = "data: {\"choices\":[{\"index\":0,\"delta\":{}}]}\n\n";
    for piece in [
        "\n".repeat(65536),
        ": x\n\n".repeat(1000),
        empty.repeat(100),
    ] {
        let flood = Flood(": hello\n\n", piece);
        let read = read_as("m", TargetPolicies::default(), flood, Asked::default()).await;
        let took = read.unwrap_err();
        assert!(took < 20 * S, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_comes_back_after_its_deadline_takes_what_is_there_and_no_more() {
    let first = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
    let asked = Asked {
        pause: 100 * S,
        ..Asked::default()
    };
    let begun = tokio::time::Instant::now();
    let long = first.replace('x', &"x".repeat(8192));
    let text = asked.of(Flood(first, long)).await;
    let most = DispatchPolicy::default().deadline + 4 * asked.pause;
    assert!(begun.elapsed() <= most, "{:?}", begun.elapsed());
    assert!(text.contains("deadline_exceeded") && !text.contains("[DONE]"));
}
