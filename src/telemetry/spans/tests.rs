use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::attempts::{Cause, LeaseRefused};
use crate::domain::chain::Chain;
use crate::domain::dialect::Operation;
use crate::domain::ids::{KeyId, Upstream};
use crate::domain::money::Pico;
use crate::domain::policy::Policy;
use crate::domain::refusal::Reason;
use crate::domain::rescue::{RescueNote, RescueObstacle};
use crate::domain::routing_note::{BudgetNote, RoutingNote};
use crate::domain::target::{AffinityStep, Ranking, RankingStep};
use crate::domain::usage::Usage;

const AT: fn(u64) -> Time = Time::from_millis;

fn told(outcome: &'static str, status: Option<u16>, attempts: Vec<AttemptRecord>) -> RequestRecord {
    let context = TraceContext::begun(
        trace::TraceId::random(0xabc),
        trace::SpanId::random(1),
        true,
    );
    let upstreams = vec![Upstream::new("a", "ma"), Upstream::new("b", "mb")];
    RequestRecord {
        id: Arc::from("req_1"),
        client: Some(Arc::from("ci")),
        operation: Operation::Chat,
        stream: true,
        target: "v".to_owned(),
        chain: Some(Arc::new(Chain {
            target: Arc::from("v"),
            upstreams,
        })),
        routing: None,
        outcome,
        status,
        attempts,
        refused: None,
        lookup: crate::domain::attempt_record::CacheLookup::Off,
        saved: None,
        rescue_obstacles: Vec::new(),
        started: AT(100),
        complete: AT(100),
        ended: AT(900),
        first_token: None,
        usage: None,
        trace: Some(Arc::new(context)),
    }
}

/// An attempt at `a` or `b`, with the span of that number.
fn at(
    name: &str,
    span: u64,
    why: AttemptReason,
    class: Class,
    from: u64,
    to: u64,
) -> AttemptRecord {
    let upstream = Upstream::new(name, format!("m{name}"));
    let key = KeyId {
        provider: upstream.provider.clone(),
        index: 1,
    };
    AttemptRecord {
        reason: why,
        class,
        ended: AT(to),
        span: trace::SpanId::new(span),
        ..AttemptRecord::new(upstream, key, AT(from))
    }
}

fn spans(told: &RequestRecord) -> Vec<SpanData> {
    let place = ProviderLocation {
        kind: "mistralai".to_owned(),
        host: Some("api.example".to_owned()),
        port: Some(443),
    };
    let places = HashMap::from_iter([(ProviderName::from("a"), place)]);
    let details = SpanDetails {
        places: &places,
        anchor: Anchor {
            time: AT(1000),
            wall: Duration::from_secs(1_800_000_000),
        },
        scheme: "http",
        mask: None,
    };
    of(told, "sampled", &details, None)
}

fn value(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|one| one.key.as_str() == name);
    found.map_or(String::new(), |one| one.value.to_string())
}

fn events(span: &SpanData) -> Vec<String> {
    let events = span.events.events.iter();
    let shown = events.map(|event| {
        let values = event.attributes.iter();
        let values: Vec<String> = values.map(|one| one.value.to_string()).collect();
        let name = event.name.trim_start_matches("pointsman.");
        format!("{name}({})", values.join(" "))
    });
    shown.collect()
}

fn is_error(span: &SpanData) -> bool {
    matches!(span.status, Status::Error { .. })
}

#[test]
fn a_plain_request_is_two_spans_with_the_conventions_names() {
    let mut one = at("a", 2, AttemptReason::First, Class::Success, 110, 800);
    one.status = Some(200);
    one.first_token = Some(AT(360));
    one.usage = Some(Usage {
        prompt_tokens: Some(10),
        completion_tokens: Some(4),
        cached_tokens: Some(8),
        reasoning_tokens: Some(1),
        ..Usage::default()
    });
    one.answered = Some(Arc::new(ResponseMeta {
        id: Some("c1".into()),
        model: Some("ma-2026".into()),
        finish_reasons: vec!["stop".into()],
    }));
    let spans = spans(&told("answered", Some(200), vec![one]));
    let [request, attempt] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(request.name, "POST /v1/chat/completions");
    assert_eq!(request.span_kind, SpanKind::Server);
    assert_eq!((&request.status, request.events.len()), (&Status::Unset, 0));
    for (name, expected) in [
        (names::HTTP_ROUTE, "/v1/chat/completions"),
        (names::HTTP_STATUS, "200"),
        (names::TARGET, "v"),
        (names::CLIENT, "ci"),
        (names::OUTCOME, "answered"),
        (names::ATTEMPTS, "1"),
        (names::KEPT, "sampled"),
        (names::ERROR_TYPE, ""),
    ] {
        assert_eq!(value(&request.attributes, name), expected, "{name}");
    }
    assert_eq!(attempt.name, "chat ma");
    assert_eq!(attempt.span_kind, SpanKind::Client);
    assert_eq!(attempt.parent_span_id, request.span_context.span_id());
    assert_eq!(attempt.status, Status::Unset);
    for (name, expected) in [
        (names::GEN_AI_OPERATION, "chat"),
        (names::GEN_AI_PROVIDER, "mistral_ai"),
        (names::GEN_AI_REQUEST_MODEL, "ma"),
        (names::GEN_AI_REQUEST_STREAM, "true"),
        (names::GEN_AI_RESPONSE_MODEL, "ma-2026"),
        (names::GEN_AI_RESPONSE_ID, "c1"),
        (names::GEN_AI_FINISH_REASONS, "[\"stop\"]"),
        (names::GEN_AI_FIRST_CHUNK, "0.25"),
        (names::GEN_AI_INPUT_TOKENS, "10"),
        (names::GEN_AI_OUTPUT_TOKENS, "4"),
        (names::GEN_AI_CACHED_TOKENS, "8"),
        (names::GEN_AI_REASONING_TOKENS, "1"),
        (names::SERVER_ADDRESS, "api.example"),
        (names::SERVER_PORT, "443"),
        (names::HTTP_STATUS, "200"),
        (names::HTTP_RESEND, ""),
        (names::KEY, "a#1"),
        (names::WHY, "first"),
    ] {
        assert_eq!(value(&attempt.attributes, name), expected, "{name}");
    }
    assert_eq!(events(attempt), ["first_token()"]);
    let start = attempt.start_time.duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(start, Duration::from_millis(1_799_999_999_110));
}

#[test]
fn a_failover_tells_who_declined_who_failed_and_how_long_it_waited() {
    let mut failed = at("a", 2, AttemptReason::First, Class::RateLimited, 110, 200);
    failed.detail = Some("their words, which may be the prompt's".into());
    let mut answered = at("b", 3, AttemptReason::Failover, Class::Success, 500, 900);
    (answered.asked, answered.waited) = (AT(250), true);
    let limited = Refusal {
        reason: Reason::Limited,
        ready_at: Some(AT(2000)),
    };
    answered.passed_over = vec![(0, limited), (0, Refusal::open_ended(Reason::Tried))];
    let spans = spans(&told("answered", Some(200), vec![failed, answered]));
    assert_eq!(
        events(&spans[0]),
        [
            "wait(b:mb 0.25)",
            "declined(limited a:ma 2027-01-15T08:00:01.000Z)",
            "failover(b:mb b#1 failover a:ma rate_limited)",
        ]
    );
    assert!(!is_error(&spans[0]), "a failure that was healed is none");
    assert_eq!(spans[1].status, Status::error(""), "their words stay here");
    assert_eq!(
        value(&spans[1].attributes, names::ERROR_TYPE),
        "rate_limited"
    );
    assert_eq!(value(&spans[2].attributes, names::HTTP_RESEND), "1");
    assert_eq!(value(&spans[2].attributes, names::GEN_AI_PROVIDER), "b");
}

#[test]
fn a_hedge_is_linked_to_its_twin_and_the_loser_lost() {
    let winner = at("b", 3, AttemptReason::Hedge, Class::Success, 300, 800);
    let loser = at("a", 2, AttemptReason::First, Class::Cancelled, 110, 500);
    let spans = spans(&told("answered", Some(200), vec![loser, winner]));
    assert_eq!(events(&spans[0]), ["hedge(b:mb b#1 hedge a:ma)"]);
    assert_eq!(events(&spans[1]), ["cancelled(hedge_lost)"]);
    assert!(spans[1].links.links.is_empty() && !is_error(&spans[1]));
    let [link] = &spans[2].links.links[..] else {
        panic!("{:?}", spans[2].links)
    };
    assert_eq!(link.span_context, spans[1].span_context);
}

#[test]
fn a_rescue_goes_on_from_the_stream_that_broke_off() {
    let mut broke = at("a", 2, AttemptReason::First, Class::Network, 110, 500);
    broke.detail = Some("it broke off".into());
    let rescued = at("b", 3, AttemptReason::Continue, Class::Success, 510, 900);
    let spans = spans(&told("answered", Some(200), vec![broke, rescued]));
    assert_eq!(
        events(&spans[0]),
        ["rescue(b:mb b#1 continue a:ma network)"]
    );
    assert_eq!(spans[1].status, Status::error("it broke off"));
}

#[test]
fn what_keeps_a_stream_from_being_rescued_is_an_event() {
    let broke = at("a", 2, AttemptReason::First, Class::Network, 110, 500);
    let mut request = told("upstreams_exhausted", Some(200), vec![broke]);
    let note = |obstacle, upstream| RescueNote {
        at: Time::from_millis(500),
        obstacle,
        upstream,
    };
    request.rescue_obstacles = vec![
        note(RescueObstacle::NoPrefill, Some(Upstream::new("b", "mb"))),
        note(RescueObstacle::Diverged, None),
    ];
    assert_eq!(
        events(&spans(&request)[0]),
        [
            "rescue_obstacle(no_prefill b:mb)",
            "rescue_obstacle(answer_differs)"
        ]
    );
}

#[test]
fn what_was_decided_about_where_it_goes_is_in_its_attributes() {
    let served = at("b", 2, AttemptReason::First, Class::Success, 110, 500);
    let mut request = told("answered", Some(200), vec![served]);
    let plain = spans(&request);
    assert_eq!(value(&plain[0].attributes, names::RANKING), "");
    let home = AffinityStep {
        home: "a".into(),
        chain: Arc::new(Chain {
            target: "a".into(),
            upstreams: vec![Upstream::new("a", "ma")],
        }),
        over_bound: false,
        warm: true,
    };
    let step = RankingStep {
        target: "v".into(),
        policy: Policy::default(),
        hints: None,
        affinity: Some(home),
        tiers: Vec::new(),
        members: Vec::new(),
    };
    let ranking = Ranking {
        seed: 1,
        steps: vec![step],
    };
    let closed = [(0, Reason::Budget)].into_iter();
    let budget = BudgetNote {
        reserved: Pico::new(1_000_000_000),
        ..BudgetNote::default()
    };
    request.routing = RoutingNote::of(Some(ranking), closed, Some(budget));
    let spans = spans(&request);
    let told = [
        names::RANKING,
        names::AFFINITY,
        names::LEFT_OUT,
        names::RESERVED,
    ];
    let told = told.map(|name| value(&spans[0].attributes, name));
    assert_eq!(told, ["v=affinity()", "moved", "a:ma=budget", "0.001000"]);
}

#[test]
fn a_stream_that_was_cut_is_an_error_in_spite_of_its_status() {
    let broke = at("a", 2, AttemptReason::First, Class::Network, 110, 500);
    let spans = spans(&told("upstreams_exhausted", Some(200), vec![broke]));
    assert!(is_error(&spans[0]) && is_error(&spans[1]));
    let error = value(&spans[0].attributes, names::ERROR_TYPE);
    assert_eq!(error, "upstreams_exhausted");
}

#[test]
fn a_caller_that_leaves_is_no_error() {
    let left = at("a", 2, AttemptReason::First, Class::Cancelled, 110, 900);
    let spans = spans(&told("caller_left", None, vec![left]));
    assert_eq!(events(&spans[0]), ["caller_left()"]);
    assert_eq!(events(&spans[1]), ["cancelled(caller_left)"]);
    assert!(spans.iter().all(|span| !is_error(span)));
    assert_eq!(value(&spans[0].attributes, names::HTTP_STATUS), "");
}

#[test]
fn what_is_refused_says_why_and_429_is_no_error_of_a_server() {
    let mut refused = told("upstreams_rate_limited", Some(429), Vec::new());
    let cooling = Refusal {
        reason: Reason::Cooling,
        ready_at: Some(Time::NEVER),
    };
    refused.refused = Some((
        AT(120),
        LeaseRefused {
            cause: Cause::TooLate,
            declined: vec![(1, cooling)],
        },
    ));
    let refused = spans(&refused);
    assert_eq!(
        events(&refused[0]),
        ["declined(cooling b:mb)", "refused(too_late)"]
    );
    assert!(!is_error(&refused[0]));
    let error = value(&refused[0].attributes, names::ERROR_TYPE);
    assert_eq!(error, "upstreams_rate_limited");
}

#[test]
fn who_fails_at_the_door_has_a_span_too_and_goes_on_in_its_callers_trace() {
    let mut refused = told("overloaded", Some(503), Vec::new());
    (refused.target, refused.chain, refused.client) = (String::new(), None, None);
    let mut context = TraceContext::clone(refused.trace.as_ref().unwrap());
    context.parent = Some((trace::SpanId::random(77), true));
    context.versioned = false;
    context.state = Some("x=1".into());
    refused.trace = Some(Arc::new(context));
    let spans = spans(&refused);
    assert_eq!(spans.len(), 1);
    assert!(is_error(&spans[0]) && spans[0].parent_span_is_remote);
    assert_eq!(
        spans[0].parent_span_id,
        SpanId::from_bytes(77u64.to_be_bytes())
    );
    assert_eq!(spans[0].span_context.trace_state().header(), "x=1");
    assert_eq!(
        value(&spans[0].attributes, names::URL_PATH),
        "/chat/completions"
    );
}

#[test]
fn a_trace_that_passes_by_has_no_spans_here() {
    let mut passing = told("answered", Some(200), Vec::new());
    let mut context = TraceContext::clone(passing.trace.as_ref().unwrap());
    context.records = false;
    passing.trace = Some(Arc::new(context));
    assert!(spans(&passing).is_empty());
}

#[test]
fn too_many_events_are_counted() {
    let mut many = at("a", 2, AttemptReason::First, Class::Success, 110, 900);
    many.passed_over = (0..200)
        .map(|_| (0, Refusal::open_ended(Reason::Cooling)))
        .collect();
    let spans = spans(&told("answered", Some(200), vec![many]));
    let events = &spans[0].events;
    assert_eq!((events.len(), events.dropped_count), (128, 72));
}
