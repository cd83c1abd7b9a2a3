//! Every documented key arrives, and every default is the documented one.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::domain::backoff::Waits;
use crate::domain::breaker::BreakerPolicy;
use crate::domain::cooldown::{CooldownPolicy, CooldownScope};
use crate::domain::limits::{DispatchPolicy, RetryPolicy, Timeouts};
use crate::domain::rotation::KeyRotation;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

#[test]
fn every_key_arrives() {
    let text = "
server:
  listen: [127.0.0.1:1, 'unix:/run/p.sock']
  allowed_hosts: gate.example
  allowed_origins: ['https://App.example/']
  admin_listen: off
  max_body: 1MiB
  max_in_flight: 7
  drain: {delay: 1s, timeout: 2m}
  stream_keepalive: 0
clients: []
llm:
  default_model: smart
  providers:
    - name: groq
      base_url: https://proxy.example/openai/v1/
      dialect: openai
      model: m
      models: [a, b]
      api_keys: [k1, 'k2,k3', k1]
      key_rotation: least_in_flight
      extra_headers: {X-Title: me}
      context_window: 131072
      params: {temperature: 0.2, stop: [a, null], nested: {on: true}}
      limits: {rpm: 30, tpm: 6_000, rpd: '1000', max_in_flight: 8}
      pacing: {learn: false, adaptive_concurrency: false}
      timeouts: {connect: 1s, first_byte: 2s, first_token: 3s, idle: 4s, response: 5s, total: 6s}
      retry: {same_upstream: 2, waits: [250ms, 1s]}
      cooldown: {default: 10s, max: 5m, scope: provider}
      circuit_breaker: {failure_threshold: 1, failure_rate: 0.1, window: 1m, min_requests: 2, recovery_time: 3s}
      mock_failure_rate: 0.25
      mock_seed: 42
      mock_latency: 5ms
      priority: 3
  virtual:
    - {name: smart, policy: ordered, upstreams: [{name: 'groq:a'}, groq]}
dispatch:
  deadline: 10s
  max_attempts: 3
  max_key_refusals: 4
  await_cooldown: 0
  patience: 1.5s
  max_waiting: 9
  retry_budget: {ratio: 0.5, min_per_second: 2}
log: {format: json, level: 'info,pointsman=debug'}
";
    let config = yaml(text, &[]).unwrap();
    assert_eq!(
        config.server,
        ServerConfig {
            pages: crate::config::Pages {
                hosts: vec!["gate.example".into()],
                origins: crate::wire::origin::Origins {
                    any: false,
                    listed: vec!["https://app.example".into()],
                },
            },
            admin: crate::config::AdminConfig {
                listen: Vec::new(),
                named: true,
                tokens: Vec::new(),
            },
            additions: AdditionRules::default(),
            listen: vec![
                Listen::Tcp("127.0.0.1:1".into()),
                Listen::Unix(PathBuf::from("/run/p.sock"))
            ],
            max_body: 1024 * 1024,
            max_in_flight: 7,
            listeners: Listeners::default(),
            insecure_open: false,
            max_answer: 64 << 20,
            max_event: 8 << 20,
            max_upload: 512 << 20,
            spool: 8 << 20,
            max_spooled: 4 << 30,
            max_buffered: 1 << 30,
            dns: Default::default(),
            drain_delay: S,
            drain_timeout: 120 * S,
            stream_keepalive: Duration::ZERO,
        }
    );
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.dispatch.deadline, 10 * S);
    assert_eq!(
        (
            config.dispatch.max_attempts,
            config.dispatch.max_key_refusals
        ),
        (3, 4)
    );
    assert_eq!(config.dispatch.await_cooldown, Duration::ZERO);
    assert_eq!(
        (config.dispatch.patience, config.dispatch.max_waiting),
        (1500 * MS, 9)
    );
    assert_eq!(config.dispatch.retry_budget.ratio, 0.5);
    let groq = provider(&config, "groq");
    assert_eq!(
        (groq.kind.as_str(), groq.base_url.as_str()),
        ("groq", "https://proxy.example/openai/v1")
    );
    assert_eq!(keys(groq), ["k1", "k2", "k3"]);
    assert_eq!(groq.key_rotation, KeyRotation::LeastInFlight);
    assert_eq!(groq.context_window, Some(131_072));
    assert_eq!(groq.params["stop"], serde_json::json!(["a", null]));
    assert_eq!(groq.params["nested"], serde_json::json!({"on": true}));
    assert_eq!((groq.limits.rpm, groq.limits.tpm), (Some(30), Some(6000)));
    assert_eq!(
        (groq.limits.rpd, groq.limits.max_in_flight),
        (Some(1000), Some(8))
    );
    let pacing = groq.limits.pacing;
    assert!(!pacing.learn && !pacing.adaptive_concurrency);
    assert_eq!((groq.timeouts.connect, groq.timeouts.total), (S, 6 * S));
    assert_eq!(
        (groq.timeouts.first_byte, groq.timeouts.first_token),
        (2 * S, 3 * S)
    );
    assert_eq!((groq.timeouts.idle, groq.timeouts.response), (4 * S, 5 * S));
    assert_eq!(
        groq.retry,
        RetryPolicy {
            same_upstream: 2,
            waits: Waits::List(vec![250 * MS, S])
        }
    );
    assert_eq!(
        groq.cooldown,
        CooldownPolicy {
            default: 10 * S,
            max: 300 * S,
            scope: CooldownScope::Provider
        }
    );
    assert_eq!(
        groq.breaker,
        BreakerPolicy {
            failure_threshold: 1,
            failure_rate: 0.1,
            window: 60 * S,
            min_requests: 2,
            recovery_time: 3 * S
        }
    );
    assert_eq!(
        groq.mock,
        Mock {
            failure_rate: 0.25,
            seed: Some(42),
            latency: 5 * MS
        }
    );
    assert_eq!(groq.priority, 3);
    assert_eq!(upstreams(&config, None), ["groq:a", "groq:m", "groq:b"]);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn what_is_absent_takes_the_documented_default() {
    let config = yaml("llm: {providers: [{name: groq, api_key: k}]}", &[]).unwrap();
    assert_eq!(config.dispatch, DispatchPolicy::default());
    assert_eq!(config.server, ServerConfig::default());
    let groq = &config.providers[0];
    let pacing = groq.limits.pacing;
    assert!(pacing.learn && pacing.adaptive_concurrency);
    assert_eq!(groq.timeouts, Timeouts::default());
    assert_eq!(groq.retry, RetryPolicy::default());
    assert_eq!(groq.cooldown, CooldownPolicy::default());
    assert_eq!(groq.breaker, BreakerPolicy::default());
    assert_eq!((groq.priority, groq.mock), (100, Mock::default()));
    assert_eq!(groq.base_url, "https://api.groq.com/openai/v1");
    assert!(groq.model.is_some());
}

#[test]
fn waits_also_grow() {
    let text = "llm: {providers: [{name: echo, retry: {waits: {initial: 1s, factor: 3, max: 9s, jitter: 0}}}, {name: e, dialect: echo, retry: {waits: 2s}}, {name: f, dialect: echo, retry: {waits: {}}}]}";
    let config = yaml(text, &[]).unwrap();
    assert_eq!(
        config.providers[0].retry.waits,
        Waits::Exponential {
            initial: S,
            factor: 3.0,
            max: 9 * S,
            jitter: 0.0
        }
    );
    assert_eq!(config.providers[1].retry.waits, Waits::List(vec![2 * S]));
    assert_eq!(
        config.providers[2].retry.waits,
        Waits::Exponential {
            initial: 500 * MS,
            factor: 2.0,
            max: 8 * S,
            jitter: 0.25
        }
    );
}

#[test]
fn a_maximum_below_the_usual_time_shortens_it() {
    let text = "llm: {providers: [{name: echo, cooldown: {max: 5s}}]}";
    assert_eq!(
        yaml(text, &[]).unwrap().providers[0].cooldown.default,
        5 * S
    );
}

#[test]
fn variables_go_in_anywhere() {
    let text = "
llm:
  default_model: ${DEFAULT:-here}:m
  providers:
    - name: here
      base_url: http://${HOST}:${PORT:-9}/v1
      api_key: ${KEY}
      limits: {rpm: '${RPM}'}
      params: {temperature: '${TEMPERATURE}', word: 'x${RPM}'}
      headers: {X-Literal: '$${KEY}'}
";
    let variables = [
        ("HOST", "10.0.0.1"),
        ("KEY", "a,b"),
        ("RPM", "30"),
        ("TEMPERATURE", "0.5"),
    ];
    let config = yaml(text, &variables).unwrap();
    let here = provider(&config, "here");
    assert_eq!(here.base_url, "http://10.0.0.1:9/v1");
    assert_eq!(keys(here), ["a", "b"]);
    assert_eq!(here.limits.rpm, Some(30));
    assert_eq!(here.params["temperature"], 0.5);
    assert_eq!(here.params["word"], "x30");
    assert_eq!(here.headers[0].1.expose(), "${KEY}");
    has(
        &here.keys[0].source,
        &["env KEY", "pointsman.yaml llm.providers[0].api_key"],
    );
    assert_eq!(upstreams(&config, None), ["here:m"]);
}

#[test]
fn parameters_that_are_left_out_of_every_call_are_warned_of() {
    let text = "
llm:
  providers:
    - {name: g, dialect: gemini, base_url: 'https://x.example/v1', model: m, auth: google, api_key: t, params: {service_tier: flex}}
    - {name: own, dialect: gemini, base_url: 'https://x.example/v1', model: m, api_key: k, params: {service_tier: flex}}
";
    let warnings = yaml(text, &[]).unwrap().warnings;
    let told: Vec<_> = warnings
        .iter()
        .filter(|warning| warning.contains("params"))
        .collect();
    assert_eq!(
        told,
        [
            "llm.providers[0].params.service_tier is left out of every call: Vertex AI has no such field"
        ]
    );
}
