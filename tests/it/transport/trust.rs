//! An image without certificates: it hurts only who needs one.

use crate::support::{Gateway, ScriptedUpstream};

const NONE: [(&str, &str); 2] = [
    ("SSL_CERT_FILE", "/nonexistent"),
    ("SSL_CERT_DIR", "/nonexistent"),
];

#[tokio::test]
async fn without_certificates_only_calls_that_need_one_fail_and_say_why() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
    - {name: b, base_url: <b>, model: m, api_key: k2, retry: {same_upstream: 0}}
  virtual: [{name: v, upstreams: [b, a]}]
telemetry: {otlp: {endpoint: <otlp>}}
log: {format: json, level: debug}
";
    let secure = a.base_url().replace("http://", "https://");
    let otlp = "http://127.0.0.1:9".to_owned();
    let gateway =
        Gateway::start_with(yaml, &[("a", &a), ("b", &secure), ("otlp", &otlp)], &NONE).await;
    let warned = gateway.logged("no certificate authorities").await;
    assert!(
        warned.contains("\"WARN\"") && warned.contains("\"b\""),
        "{warned}"
    );
    assert_eq!(gateway.chat("a").send().await.says(), "ok");
    assert_eq!(gateway.chat("v").send().await.says(), "ok");
    let answer = gateway.chat("b").send().await;
    answer.assert_error(502, "upstreams_exhausted");
    assert_eq!(answer.attempts(), ["b:m: network"]);
    let said = gateway
        .logged("cannot connect: no certificate authorities")
        .await;
    for way in ["ca-certificates", "SSL_CERT_FILE", "ca_file"] {
        assert!(said.contains(way), "{said}");
    }
}
