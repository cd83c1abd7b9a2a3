//! Where metrics and traces are pushed to: the file, the standard variables, and both.

use super::*;
use crate::config::{Compression, OtlpTarget, Temporality};

const PROVIDERS: &str = "llm: {providers: [{name: echo}]}";

fn telemetry(file: &str, variables: &[(&str, &str)]) -> TelemetryPolicy {
    let text = format!("telemetry: {{{file}}}\n{PROVIDERS}");
    yaml(&text, variables).unwrap().telemetry
}

fn urls(file: &str, variables: &[(&str, &str)]) -> [String; 2] {
    let OtlpPolicy {
        metrics, traces, ..
    } = telemetry(file, variables).otlp;
    [metrics, traces].map(|target| target.map(|target| target.url).unwrap_or_default())
}

fn header<'a>(target: &'a OtlpTarget, name: &str) -> &'a str {
    let mut headers = target.headers.iter();
    headers
        .find(|(known, _)| known == name)
        .map_or("", |(_, value)| value.expose())
}

#[test]
fn nothing_is_pushed_unless_it_is_said_where_to() {
    assert_eq!(urls("", &[]), ["", ""]);
    let url = [("OTEL_METRICS_EXPORTER", "otlp")];
    assert_eq!(urls("", &url), ["http://localhost:4318/v1/metrics", ""]);
}

#[test]
fn paths_are_added_to_a_root_and_full_urls_stay() {
    let file = "otlp: {endpoint: 'http://c:4318/', traces_endpoint: 'http://t:1/x'}";
    assert_eq!(
        urls(file, &[]),
        ["http://c:4318/v1/metrics", "http://t:1/x"]
    );
    let root = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://env:4318/otlp");
    let (metrics, traces) = (
        "https://env:4318/otlp/v1/metrics",
        "https://env:4318/otlp/v1/traces",
    );
    assert_eq!(urls("", &[root]), [metrics, traces]);
    assert_eq!(urls(file, &[root]), [metrics, traces]);
    let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:9/in");
    assert_eq!(urls(file, &[root, own]), ["http://m:9/in", traces]);
}

#[test]
fn either_signal_can_be_turned_off() {
    let file = "otlp: {endpoint: 'http://c:4318'}";
    let none = ["none", "prometheus", "prometheus, none"];
    for word in none {
        let variables = [("OTEL_METRICS_EXPORTER", word)];
        assert_eq!(urls(file, &variables), ["", "http://c:4318/v1/traces"]);
    }
    assert_eq!(urls(file, &[("OTEL_SDK_DISABLED", "TRUE")]), ["", ""]);
    let off = format!("{file}, metrics: {{push: false}}");
    assert_eq!(urls(&off, &[]), ["", "http://c:4318/v1/traces"]);
}

#[test]
fn headers_of_both_are_sent_and_are_secrets() {
    let file =
        "otlp: {endpoint: 'http://c:4318', headers: {Authorization: Bearer file-secret-1, x-a: a}}";
    let variables = [
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Basic%20env-secret-2,x-b=b",
        ),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-c=c%2C"),
    ];
    let policy = telemetry(file, &variables);
    let (metrics, traces) = (
        policy.otlp.metrics.as_ref().unwrap(),
        policy.otlp.traces.as_ref().unwrap(),
    );
    assert_eq!(header(metrics, "authorization"), "Basic env-secret-2");
    assert_eq!(header(metrics, "Authorization"), "");
    assert_eq!((header(metrics, "x-a"), header(metrics, "x-b")), ("a", "b"));
    assert_eq!(header(traces, "Authorization"), "Bearer file-secret-1");
    assert_eq!((header(traces, "x-b"), header(traces, "x-c")), ("", "c,"));
    let shown = format!("{policy:?}");
    assert!(
        !shown.contains("secret-1") && !shown.contains("secret-2"),
        "{shown}"
    );
}

#[test]
fn the_rest_comes_from_the_variables_first() {
    let file = "otlp: {endpoint: 'http://c:4318', timeout: 3s, compression: gzip, service_name: file, \
                resource: {deployment.environment.name: prod, team: a}}, \
                metrics: {interval: 5s, temporality: delta}";
    let policy = telemetry(file, &[]);
    let metrics = policy.otlp.metrics.unwrap();
    assert_eq!(metrics.timeout.as_secs(), 3);
    assert_eq!(metrics.compression, Compression::Gzip);
    assert_eq!(policy.otlp.service_name, "file");
    assert_eq!(policy.metrics.interval.as_secs(), 5);
    assert_eq!(policy.metrics.temporality, Temporality::Delta);
    let policy = telemetry(
        file,
        &[
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=attribute,team=b%20c",
            ),
            ("OTEL_METRIC_EXPORT_INTERVAL", "250"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                "LowMemory",
            ),
        ],
    );
    let (metrics, traces) = (policy.otlp.metrics.unwrap(), policy.otlp.traces.unwrap());
    assert_eq!(metrics.timeout.as_millis(), 1500);
    assert_eq!(metrics.compression, Compression::None);
    assert_eq!(traces.compression, Compression::Gzip);
    assert_eq!(policy.otlp.service_name, "attribute");
    let resource: Vec<(&str, &str)> = policy
        .otlp
        .resource
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        resource,
        [("deployment.environment.name", "prod"), ("team", "b c")]
    );
    assert_eq!(policy.metrics.interval.as_millis(), 250);
    assert_eq!(policy.metrics.temporality, Temporality::LowMemory);
    let named = telemetry(
        file,
        &[
            ("OTEL_SERVICE_NAME", "variable"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=attribute"),
        ],
    );
    assert_eq!(named.otlp.service_name, "variable");
}

#[test]
fn mistakes_in_the_file_are_told_and_those_in_variables_are_warnings() {
    let file = |keys: &str| {
        mistakes(
            &format!("telemetry: {{otlp: {{{keys}}}}}\n{PROVIDERS}"),
            &[],
        )
    };
    has(
        &file("endpoint: 'c:4318'"),
        &["telemetry.otlp.endpoint: is not"],
    );
    let text = file("endpoint: 'http://me:hidden@c:4318'");
    has(&text, &["holds a user name"]);
    assert!(!text.contains("hidden"), "{text}");
    has(&file("compression: zstd"), &["expected one of none, gzip"]);
    let bad = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "c:4318/hidden"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hidden"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_METRICS_EXPORTER", "console"),
    ];
    let config = yaml(PROVIDERS, &bad).unwrap();
    let warnings = config.warnings.join("\n");
    has(
        &warnings,
        &[
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not",
            "OTEL_EXPORTER_OTLP_TIMEOUT is no number",
            "OTEL_EXPORTER_OTLP_HEADERS is not a list",
            "OTEL_EXPORTER_OTLP_PROTOCOL names a protocol",
            "OTEL_METRICS_EXPORTER names neither",
        ],
    );
    assert!(!warnings.contains("hidden"), "{warnings}");
    let otlp = config.telemetry.otlp;
    assert_eq!(otlp.traces.unwrap().url, "http://c:4318/v1/traces");
}
