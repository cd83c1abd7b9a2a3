//! Pushing: a receiver sees the same numbers, one that is down costs nobody anything, and headers stay secret.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point};
use prost::Message;

use super::{after, metrics};
use crate::admin::side::Side;
use crate::support::scripted::Received;
use crate::support::{At, Behaviour, Match, Refusing, ScriptedUpstream, until};

const TOKEN: &str = "Bearer planted-otlp-token";

fn yaml(more: &str) -> String {
    format!(
        "
telemetry:
  otlp: {{endpoint: <otlp>, headers: {{authorization: {TOKEN}}}{more}}}
  metrics: {{interval: 50ms}}
  traces: {{push: false}}
llm: {{providers: [{{name: a, base_url: <a>, model: m, api_key: k}}]}}
"
    )
}

/// The root of a scripted upstream, without its `/v1`.
fn root(upstream: &ScriptedUpstream) -> String {
    upstream.base_url().trim_end_matches("/v1").to_owned()
}

fn decode(received: &Received) -> ExportMetricsServiceRequest {
    assert_eq!(received.path, "/v1/metrics");
    assert_eq!(
        received.header("content-type"),
        Some("application/x-protobuf")
    );
    let body = match received.header("content-encoding") {
        Some("gzip") => {
            let mut plain = Vec::new();
            let mut reader = flate2::read::GzDecoder::new(&received.body[..]);
            std::io::Read::read_to_end(&mut reader, &mut plain).unwrap();
            plain
        }
        _ => received.body.clone(),
    };
    ExportMetricsServiceRequest::decode(&body[..]).unwrap()
}

fn pushed<'a>(request: &'a ExportMetricsServiceRequest, name: &str) -> Option<&'a Metric> {
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|it| &it.scope_metrics);
    let mut all = scopes.flat_map(|scope| &scope.metrics);
    all.find(|metric| metric.name == name)
}

fn label<'a>(labels: &'a [KeyValue], name: &str) -> Option<&'a str> {
    let found = labels.iter().find(|label| label.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn whole(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// The sum of what was counted, or how often it was measured.
fn total(request: &ExportMetricsServiceRequest, name: &str, labels: &[(&str, &str)]) -> f64 {
    let fits = |all: &[KeyValue]| {
        labels
            .iter()
            .all(|(name, value)| label(all, name) == Some(value))
    };
    let Some(data) = pushed(request, name).and_then(|metric| metric.data.as_ref()) else {
        return 0.0;
    };
    let points = match data {
        Data::Sum(sum) => &sum.data_points,
        Data::Gauge(gauge) => &gauge.data_points,
        Data::Histogram(histogram) => {
            let points = histogram
                .data_points
                .iter()
                .filter(|point| fits(&point.attributes));
            return points.map(|point| whole(point.count)).sum();
        }
        other => panic!("{other:?}"),
    };
    let points = points.iter().filter(|point| fits(&point.attributes));
    let values = points.map(|point| match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        Some(number_data_point::Value::AsInt(value)) => whole(value.unsigned_abs()),
        None => 0.0,
    });
    values.sum()
}

#[tokio::test]
async fn a_receiver_sees_the_same_numbers() {
    let (a, otlp) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let more = ", compression: gzip, service_name: edge, resource: {team: blue}";
    let side = Side::start(&yaml(more), &[("a", &a), ("otlp", &root(&otlp))]).await;
    a.on(Match::any(), [Behaviour::fails(503), Behaviour::says("x")]);
    for _ in 0..3 {
        assert_eq!(side.gateway.chat("a").send().await.status, 200);
    }
    let told = after(&side, 3.0).await;
    let latest = || otlp.requests().last().map(decode).unwrap_or_default();
    let counted = async || total(&latest(), "pointsman.requests", &[]) >= 3.0;
    until("the numbers to be pushed", counted).await;
    let request = latest();
    for (name, exposed) in [
        ("pointsman.requests", "pointsman_requests_total"),
        ("pointsman.attempts", "pointsman_attempts_total"),
        ("pointsman.tokens", "pointsman_tokens_total"),
        (
            "pointsman.upstream.usable_keys",
            "pointsman_upstream_usable_keys",
        ),
        (
            "gen_ai.client.operation.duration",
            "gen_ai_client_operation_duration_seconds_count",
        ),
        (
            "http.server.request.duration",
            "http_server_request_duration_seconds_count",
        ),
    ] {
        assert_eq!(total(&request, name, &[]), told.sum(exposed, &[]), "{name}");
    }
    let failed = [
        ("upstream", "a:m"),
        ("outcome", "overloaded"),
        ("attempt_reason", "first"),
    ];
    assert_eq!(total(&request, "pointsman.attempts", &failed), 1.0);
    assert_eq!(
        pushed(&request, "gen_ai.client.operation.duration")
            .unwrap()
            .unit,
        "s"
    );
    let resource = request.resource_metrics[0].resource.as_ref().unwrap();
    assert_eq!(label(&resource.attributes, "service.name"), Some("edge"));
    assert_eq!(label(&resource.attributes, "team"), Some("blue"));
    assert!(label(&resource.attributes, "service.instance.id").is_some());
    // The receiver got the token, nobody else.
    let received = otlp.requests();
    assert_eq!(received[0].header("authorization"), Some(TOKEN));
    let shown = side.get("/metrics").send().await.text().to_owned();
    let state = side.get("/admin/v1/state").send().await.text().to_owned();
    let exports = metrics(&side)
        .await
        .sum("pointsman_otlp_exports_total", &[("result", "success")]);
    assert!(exports >= 1.0);
    let logs = side.gateway.finish().await.join("\n");
    for text in [shown, state, logs] {
        assert!(!text.contains("planted-otlp-token"), "{text}");
    }
}

#[tokio::test]
async fn the_last_numbers_are_pushed_at_the_end() {
    let (a, otlp) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let yaml = yaml("").replace("interval: 50ms", "interval: 1h");
    let mut side = Side::start(&yaml, &[("a", &a), ("otlp", &root(&otlp))]).await;
    assert_eq!(side.gateway.chat("a").send().await.status, 200);
    after(&side, 1.0).await;
    assert_eq!(otlp.count(), 0);
    side.gateway.signal("TERM");
    assert!(side.gateway.wait_exit().await.success());
    let request = decode(&otlp.requests()[0]);
    assert_eq!(total(&request, "pointsman.requests", &[]), 1.0);
}

#[tokio::test]
async fn a_receiver_that_is_down_holds_nobody_up() {
    let (a, otlp) = (ScriptedUpstream::start().await, Refusing::new());
    let otlp = otlp.base_url().trim_end_matches("/v1").to_owned();
    let side = Side::start(&yaml(", timeout: 10m"), &[("a", &a), ("otlp", &otlp)]).await;
    let failed = [("signal", "metrics"), ("result", "failure")];
    let count = async || {
        metrics(&side)
            .await
            .sum("pointsman_otlp_exports_total", &failed)
    };
    until("two failures", async || count().await >= 2.0).await;
    assert_eq!(side.gateway.chat("a").send().await.status, 200);
    let line = side.gateway.logged("OTLP export fails").await;
    assert!(line.contains("\"signal\":\"metrics\""), "{line}");
    let mut gateway = side.gateway;
    // Told once, not each time; and the library adds nothing of its own.
    let logs = gateway.logs();
    let told = logs.iter().filter(|line| line.contains("export"));
    assert_eq!(told.count(), 1, "{logs:?}");
    gateway.signal("TERM");
    assert!(gateway.wait_exit().await.success());
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_nobody_up() {
    let (a, otlp) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    otlp.on(Match::any(), [Behaviour::says("").hang(At::BeforeHead)]);
    let side = Side::start(
        &yaml(", timeout: 10m"),
        &[("a", &a), ("otlp", &root(&otlp))],
    )
    .await;
    otlp.wait_for(1).await;
    assert_eq!(side.gateway.chat("a").send().await.status, 200);
    let mut gateway = side.gateway;
    gateway.signal("TERM");
    assert!(gateway.wait_exit().await.success());
    gateway.logged("the last metrics could not be pushed").await;
}
