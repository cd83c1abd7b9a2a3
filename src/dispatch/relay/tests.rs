//! A relayed stream under a paused clock: whose silence is whose.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, header};

use super::*;
use crate::actors::chaos::Chaos;
use crate::actors::tree::{ProviderSpec, Tree, TreeSpec};
use crate::dispatch::{AnswerBody, Dispatch, Endpoint, Pulses, Request};
use crate::domain::chain::{ProviderEntry, Targets};
use crate::domain::circuit::BreakerPolicy;
use crate::domain::cooldown::CooldownPolicy;
use crate::domain::dialect::Operation;
use crate::domain::ids::{ModelName, ProviderName};
use crate::domain::limits::{DispatchPolicy, KeyLimits, RetryBudgetPolicy, RetryPolicy, Timeouts};
use crate::domain::restart::RestartPolicy;
use crate::domain::rotation::KeyRotation;
use crate::runtime::clock::Clock;
use crate::upstream::{Call, Reply, SendError, Upstream};
use crate::wire::openai::request::RequestDoc;

const S: Duration = Duration::from_secs(1);

/// Streams four parts, each so long after it was asked for.
struct Parts(Duration);

impl Upstream for Parts {
    fn send(&self, _: Call) -> BoxFuture<'static, Result<Reply, SendError>> {
        let part = |n: usize| match n {
            0..4 => r#"{"choices":[{"index":0,"delta":{"content":"x"}}]}"#,
            4 => r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            _ => "[DONE]",
        };
        let gap = self.0;
        let body = futures_util::stream::iter(0..6).then(move |n| async move {
            tokio::time::sleep(gap).await;
            Ok(Bytes::from(format!("data: {}\n\n", part(n))))
        });
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("text/event-stream");
        headers.insert(header::CONTENT_TYPE, kind);
        let reply = Reply {
            status: 200,
            headers,
            body: body.boxed(),
        };
        Box::pin(async move { Ok(reply) })
    }
}

/// What a caller reads that takes `pause` before each part, from an upstream that takes `gap`; silence may last
/// for a second.
async fn read(gap: Duration, pause: Duration) -> String {
    let (name, clock) = (ProviderName::from("a"), Clock::start());
    let provider = ProviderSpec {
        name: name.clone(),
        home: String::new(),
        keys: vec![None],
        rotation: KeyRotation::RoundRobin,
        limits: KeyLimits::default(),
        cooldown: CooldownPolicy::default(),
        breaker: BreakerPolicy::default(),
        retry_budget: RetryBudgetPolicy::default(),
    };
    let tree = Tree::start(TreeSpec {
        generation: 0,
        oldest: 0,
        providers: vec![provider],
        recall: std::collections::BTreeMap::new(),
        max_waiting: 1,
        restart: RestartPolicy::default(),
        clock,
        chaos: Chaos::default(),
    })
    .await;
    let endpoint = Endpoint {
        max_answer: 64 << 20,
        kind: String::new(),
        wire: Arc::new(Parts(gap)),
        headers: HeaderMap::new(),
        params: serde_json::Map::new(),
        context_window: None,
        timeouts: Timeouts {
            idle: S,
            ..Timeouts::default()
        },
        retry: Arc::new(RetryPolicy::default()),
        trace_context: false,
        prefill: None,
    };
    let entry = ProviderEntry {
        name: name.clone(),
        model: Some(ModelName::from("m")),
        models: Vec::new(),
        builtin: false,
    };
    let dispatch = Arc::new(Dispatch {
        generation: 0,
        hedger: None,
        pulses: Pulses::default(),
        rescues: HashMap::new(),
        dispatcher: tree.dispatcher().clone(),
        targets: Arc::new(Targets::build(&[entry], &[], None).unwrap()),
        endpoints: HashMap::from([(name, Arc::new(endpoint))]),
        policy: DispatchPolicy::default(),
        clock,
        halt: crate::runtime::halt::Halt::default(),
        recorder: Arc::new(crate::telemetry::recorder::Recorder::new(0)),
    });
    let body = r#"{"model":"a","messages":[],"stream":true}"#;
    let request = Request {
        id: Arc::from("r"),
        operation: Operation::Chat,
        arrived: clock.now(),
        doc: RequestDoc::parse(Bytes::from_static(body.as_bytes())).unwrap(),
        headers: HeaderMap::new(),
        deadline: None,
        begins_within: None,
        silence: None,
        await_cooldown: None,
        client: None,
        trace: None,
    };
    let answer = dispatch.run(request).await.unwrap();
    let AnswerBody::Stream(mut relay) = answer.body else {
        panic!("not a stream");
    };
    let mut text = String::new();
    loop {
        tokio::time::sleep(pause).await;
        let Some(Ok(bytes)) = relay.next().await else {
            return text;
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
        let text = read(2 * S, pause).await;
        assert!(text.contains("fell silent"), "{text}");
        assert!(!text.contains("[DONE]"), "{text}");
    }
}
