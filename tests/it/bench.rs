//! `pointsman bench`: what it counts, what it asks before it spends, and how it ends.

use std::process::Output;

use serde_json::Value;

use crate::support::gateway::run;
use crate::support::temp::TempDir;
use crate::support::{At, Behaviour, Gateway, ScriptedUpstream};

const ECHO: &str = "
llm:
  default_model: demo
  providers:
    - {name: demo, dialect: echo, model: echo}
";
const PRICED: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, prices: {m: {input: 1000000, output: 1000000}}}
";

/// Benchmarks a gateway, with a configuration at hand that says which providers it plays itself.
async fn bench(gateway: &Gateway, arguments: &[&str]) -> Output {
    let dir = TempDir::new();
    dir.write("p.yaml", ECHO);
    let address = gateway.address().to_string();
    let all = ["bench", "--config", "p.yaml", "--address", &address];
    run(dir.path(), &[&all[..], arguments].concat(), &[]).await
}

fn json(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"))
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn a_closed_loop_counts_requests_tokens_and_latencies() {
    let gateway = Gateway::start(ECHO, &[]).await;
    let arguments = ["demo", "--json", "--concurrency", "4", "--requests", "40"];
    let output = bench(&gateway, &arguments).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let all = json(&output);
    let step = &all["runs"][0];
    assert_eq!(
        (&step["completed"], &step["failed"]),
        (&40.into(), &0.into())
    );
    assert_eq!(step["attempts"], 40);
    assert_eq!(step["upstreams"]["demo:echo"], 40);
    assert_eq!(step["cost"], "0.000000");
    assert_eq!(step["requests_of_unknown_cost"], 0);
    // The echo counts words: the prompt's, and one more for its own name.
    assert_eq!(step["total_input_tokens"], 40 * 32);
    assert_eq!(step["total_output_tokens"], 40 * 33);
    for name in [
        "request_throughput",
        "mean_ttft_ms",
        "p99_tpot_ms",
        "median_itl_ms",
        "std_e2el_ms",
    ] {
        assert!(step[name].is_number(), "{name}: {step}");
    }
    assert!(all["gateway_overhead_ms"].is_number(), "{all}");
    assert_eq!(step["request_goodput"], Value::Null);
}

#[tokio::test]
async fn an_open_loop_and_several_rates_are_a_table() {
    let gateway = Gateway::start(ECHO, &[]).await;
    let arguments = [
        "--rate",
        "200,400",
        "--requests",
        "20",
        "--goodput",
        "ttft:0.000001",
        "e2el:9999",
    ];
    let output = bench(&gateway, &arguments).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "open loop, 200 requests/s, Poisson",
        "open loop, 400 requests/s",
        "GOODPUT",
        "Median gateway overhead",
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    let arguments = [
        "--rate",
        "500",
        "--requests",
        "20",
        "--whole",
        "--json",
        "--goodput",
        "e2el:0.000001",
    ];
    let step = json(&bench(&gateway, &arguments).await)["runs"][0].clone();
    assert_eq!(step["completed"], 20);
    assert_eq!(step["request_goodput"], 0.0);
    assert_eq!(step["mean_ttft_ms"], Value::Null, "of streams only");
    assert!(step["mean_e2el_ms"].is_number());
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_incomplete_and_in_no_latency() {
    let a = ScriptedUpstream::playing([
        Behaviour::streams(&["a", "b", "c"]),
        Behaviour::streams(&["a", "b", "c"]).reset(At::AfterPart(3)),
    ])
    .await;
    let gateway = Gateway::start(
        "llm: {providers: [{name: a, base_url: <a>, model: m, api_key: k1}]}\n",
        &[("a", &a)],
    )
    .await;
    let arguments = [
        "a",
        "--json",
        "--yes",
        "--concurrency",
        "1",
        "--requests",
        "1",
    ];
    let output = bench(&gateway, &arguments).await;
    let step = json(&output)["runs"][0].clone();
    assert_eq!(output.status.code(), Some(1), "{step}");
    assert_eq!(
        (&step["incomplete"], &step["completed"]),
        (&1.into(), &0.into()),
        "{step}"
    );
    assert_eq!(step["mean_ttft_ms"], Value::Null);
    assert_eq!(step["requests_of_unknown_cost"], 1);
}

#[tokio::test]
async fn nothing_is_spent_beyond_what_was_said() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(PRICED, &[("a", &a)]).await;
    // Each costs 2 tokens at 1 a token, or so; 100 of them cost far more.
    let refused = bench(&gateway, &["a", "--whole"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("more than --max-cost 1"),
        "{}",
        said(&refused)
    );
    assert_eq!(a.count(), 1, "one request, to see what one costs");
    let arguments = [
        "a",
        "--whole",
        "--json",
        "--concurrency",
        "1",
        "--duration",
        "1m",
        "--max-cost",
        "100",
    ];
    let output = bench(&gateway, &arguments).await;
    let step = json(&output)["runs"][0].clone();
    assert_eq!(step["stopped"], "--max-cost was reached", "{step}");
    let spent: f64 = step["cost"].as_str().unwrap().parse().unwrap();
    assert!((100.0..200.0).contains(&spent), "{spent}");
    let before = a.count();
    let arguments = [
        "a",
        "--whole",
        "--json",
        "--yes",
        "--concurrency",
        "2",
        "--requests",
        "9",
    ];
    let output = bench(&gateway, &arguments).await;
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(a.count(), before + 10);
}

#[tokio::test]
async fn what_cannot_be_measured_is_told() {
    let gateway = Gateway::start(ECHO, &[]).await;
    let output = bench(&gateway, &["nobody"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("404"), "{}", said(&output));
    let output = bench(&gateway, &["--goodput", "speed:1"]).await;
    assert_eq!(output.status.code(), Some(64));
    let output = bench(&gateway, &["--file", "absent.jsonl"]).await;
    assert_eq!(output.status.code(), Some(65));
    let dir = TempDir::new();
    let output = run(dir.path(), &["bench", "--address", "127.0.0.1:9"], &[]).await;
    assert_eq!(output.status.code(), Some(69));
}
