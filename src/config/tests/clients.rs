//! Who may call: what is read, and every mistake with it.

use super::*;
use crate::domain::client::{ClientLimits, Priority};
use crate::wire::token::TokenDigest;

const LLM: &str = "
llm:
  providers: [{name: a, base_url: 'http://localhost', model: m, models: [m, n]}, {name: echo}]
  virtual: [{name: smart, upstreams: [a]}]
";

/// Hashes of `0123456789abcdef-3`, `0123456789abcdef-4` and `secret-0123456789abcdef`, by `sha256sum`.
const THREE: &str = "79749189206de211a825d94fcfd9420974795f563634ed24648dc60a03568aa6";
const FOUR: &str = "EE3BFE7AA140E626585DA7617A9F395DFC90A40BA83C2607380209438A7153A5";
const SECRET: &str = "93c6a5cd70ea776813ef8b32720e4199b38b91ab8b8d0c5471a662597d564ba7";

fn client(config: &Config, at: usize) -> &ClientConfig {
    &config.clients[at]
}

#[test]
fn every_key_of_a_client_arrives() {
    let text = format!(
        "
clients:
  - name: ci
    tokens: [0123456789abcdef-0, '${{OTHER}}']
    targets: [smart, 'a:*']
    limits: {{rpm: 60, tpm: 100_000, max_in_flight: 4}}
    priority: high
  - {{name: web, tokens_sha256: [{THREE}, {FOUR}], rpm: 1, tpm: 2, max_in_flight: 3}}
  - {{name: file, token_file: tokens}}
{LLM}"
    );
    let dir = ConfigDir::new().with("pointsman.yaml", &text).with(
        "tokens",
        "# ours\n0123456789abcdef-5\n\n0123456789abcdef-6\n",
    );
    let variables = [("OTHER", "0123456789abcdef-1,0123456789abcdef-2")];
    let config = load(&request(&dir.0, &variables)).unwrap();
    let digests = |range: std::ops::Range<u32>| -> Vec<TokenDigest> {
        let tokens = range.map(|n| format!("0123456789abcdef-{n}"));
        tokens
            .map(|token| TokenDigest::of(token.as_bytes()))
            .collect()
    };
    let ci = client(&config, 0);
    assert_eq!(
        (&*ci.policy.name, ci.policy.priority),
        ("ci", Priority::High)
    );
    assert_eq!(ci.tokens, digests(0..3));
    assert_eq!(ci.policy.allow.patterns().unwrap(), ["smart", "a:*"]);
    let limits = |rpm: u64, tpm: u64, most: u32| ClientLimits {
        rpm: rpm.try_into().ok(),
        tpm: tpm.try_into().ok(),
        max_in_flight: most.try_into().ok(),
    };
    assert_eq!(ci.policy.limits, limits(60, 100_000, 4));
    let web = client(&config, 1);
    assert_eq!(
        (&web.tokens, web.policy.limits),
        (&digests(3..5), limits(1, 2, 3))
    );
    assert_eq!(
        (web.policy.priority, web.policy.allow.patterns()),
        (Priority::Normal, None)
    );
    assert_eq!(client(&config, 2).tokens, digests(5..7));
    assert!(config.files.contains(&dir.0.join("tokens")));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert!(!format!("{config:?}").contains("0123456789"));
}

#[test]
fn every_mistake_is_listed_and_no_token_is_shown() {
    let text = format!(
        "
clients:
  - {{name: a, token: secret-0123456789abcdef}}
  - {{name: a, token_sha256: {SECRET}}}
  - {{name: none}}
  - {{name: both, token: secret-of-both-of-them, token_file: nowhere}}
  - {{name: bad, token_sha256: secret-as-it-is}}
  - {{token: secret-without-a-name}}
  - {{token: secret-without-a-name-either}}
  - {{name: twice, token: secret-twice-limited, rpm: 1, limits: {{rpm: 2, rpd: 3}}, priority: urgent}}
  - {{name: zero, token: secret-zero-limited, max_in_flight: 0, allows: [smart]}}
  - {{name: accent, token: sécret-0123456789abcdef}}
{LLM}"
    );
    let shown = mistakes(&text, &[]);
    has(
        &shown,
        &[
            "clients[1]: two clients are called `a`",
            "clients[1]: `a` and `a` have the same token",
            "clients[2]: the client has no token",
            "clients[3]: only one of token, token_file and token_sha256 may be given",
            "clients[3].token_file: nowhere can't be read",
            "clients[4].token_sha256: is not 64 hexadecimal digits",
            "clients[5]: the client has no name",
            "clients[6]: the client has no name",
            "clients[7].rpm: means the same as limits.rpm",
            "clients[7].limits.rpd: unknown key",
            "clients[7].priority: expected one of high, normal, low",
            "clients[8].max_in_flight: expected a whole number, 1 or more",
            "clients[8].allows: unknown key; did you mean `allow`?",
            "clients[9]: the token from clients[9].token holds characters",
        ],
    );
    assert!(!shown.contains("called ``"), "{shown}");
    assert!(
        !shown.contains("secret") && !shown.contains("sécret"),
        "{shown}"
    );
}

#[test]
fn a_variable_that_is_not_set_is_one_mistake_and_an_empty_one_is_no_token() {
    let with = |token: &str| format!("clients: [{{name: a, token: '{token}'}}]\n{LLM}");
    has(
        &mistakes(&with("${GONE}"), &[]),
        &["1 mistake:", "GONE is not set"],
    );
    has(
        &mistakes(&with("${GONE:-}"), &[]),
        &["1 mistake:", "has no token"],
    );
}

#[test]
fn what_may_not_be_meant_is_a_warning() {
    let text = format!(
        "
clients:
  - {{name: short, token: abc}}
  - {{name: far, token: 0123456789abcdef, allow: [smrat, 'a:*', 'b:*', 'sm*', a, m, 'echo:*', 'a:n']}}
  - {{name: nothing, token: 0123456789abcdeg, allow: []}}
{LLM}"
    );
    let warnings = yaml(&text, &[]).unwrap().warnings;
    has(
        &warnings.join("\n"),
        &[
            "clients[0]: the token from clients[0].token has fewer than 16 characters",
            "clients[1].allow: nothing is called `smrat`; did you mean `smart`?",
            "clients[1].allow: nothing is called `b:*`",
            "clients[2].allow: `nothing` may ask for nothing",
        ],
    );
    assert_eq!(warnings.len(), 4, "{warnings:?}");
}

#[test]
fn with_clients_a_listener_may_be_reached_from_outside() {
    let text = format!(
        "server: {{listen: '0.0.0.0:8080'}}\nclients: [{{name: a, token: 0123456789abcdef}}]\n{LLM}"
    );
    assert!(yaml(&text, &[]).unwrap().warnings.is_empty());
    let none = format!("server: {{listen: '0.0.0.0:8080'}}\nclients: []\n{LLM}");
    has(&mistakes(&none, &[]), &["no token is needed", "clients"]);
}

#[test]
fn allow_without_a_value_is_a_mistake_and_not_everything() {
    for key in ["allow", "targets"] {
        let text = format!("clients: [{{name: ci, token: 0123456789abcdef, {key}: }}]\n{LLM}");
        let dir = ConfigDir::new().with("pointsman.yaml", &text);
        let error = load(&request(&dir.0, &[])).unwrap_err().to_string();
        assert!(
            error.contains("1 mistake") && error.contains(&format!("clients[0].{key}")),
            "{error}"
        );
        assert!(
            error.contains("write [] for nothing, or remove it"),
            "{error}"
        );
    }
}
