//! All mistakes at once, each with its place and what to write instead.

use proptest::prelude::*;

use super::*;

#[test]
fn every_mistake_is_listed_with_its_place() {
    let text = "
servr: {}
server:
  listen: [8080, '127.0.0.1:1', '127.0.0.1:1']
  max_body: huge
  max_in_flight: 0
llm:
  default_model: nowhere
  providers:
    - name: groq
      api_key: k
      timeouts: {conect: 5s, idle: 0}
      limits: {rpm: 0, tpm: -3}
      pacing: {lern: true, adaptive_concurrency: maybe}
      mock_failure_rate: 1.5
      key_rotation: round-robin
      retry: {same_upstream: 1, waits: {factor: 0.5}}
      cooldown: {default: 1h, max: 1m}
    - name: custom
    - base_url: http://localhost:1/v1
    - name: bad-url
      base_url: localhost:1/v1
      model: m
  virtual:
    - {name: v, upstreams: [{name: grok-typo}, {nam: x}, {name: custom}], policy: random}
    - {name: w, upstreams: []}
dispatch: {max_attempts: none, retry_budget: {ratio: 11}}
log: {format: xml, level: loud}
";
    let shown = mistakes(text, &[]);
    has(
        &shown,
        &[
            "pointsman.yaml servr: unknown key; did you mean `server`?",
            "server.listen[0]: `8080` has no host; write 127.0.0.1:8080",
            "server.listen[2]: `127.0.0.1:1` is named twice",
            "server.max_body: expected a size such as 32MiB",
            "server.max_in_flight: expected a whole number, 1 or more, found `0`",
            "llm.default_model: default_model: `nowhere`",
            "llm.providers[0].timeouts.conect: unknown key; did you mean `connect`?",
            "llm.providers[0].timeouts.idle: expected a time above zero",
            "llm.providers[0].limits.rpm",
            "llm.providers[0].limits.tpm",
            "llm.providers[0].pacing.lern: unknown key; did you mean `learn`?",
            "llm.providers[0].pacing.adaptive_concurrency: expected",
            "llm.providers[0].mock_failure_rate: expected a number from 0 to 1",
            "llm.providers[0].key_rotation: expected one of round_robin, sticky, sequential, least_in_flight, affinity; did you mean `round_robin`?",
            "llm.providers[0].retry.waits.factor: is below 1",
            "llm.providers[0].cooldown: default is longer than max",
            "llm.providers[1]: provider custom has no base_url, and is no built-in provider; add `base_url:`",
            "llm.providers[2]: a provider has no name",
            "llm.providers[3].base_url: base_url is not",
            "llm.virtual: virtual provider `v` references the unknown upstream `grok-typo`",
            "llm.virtual[0].upstreams[1].nam: unknown key; did you mean `name`?",
            "llm.virtual[0].policy: expected one of ordered, round_robin, weighted, cost, latency, least_busy, usage, score",
            "virtual provider `w` has no upstreams",
            "dispatch.max_attempts",
            "dispatch.retry_budget.ratio: is above 10",
            "log.format: expected one of text, json",
            "log.level: `loud` is no level",
        ],
    );
}

#[test]
fn a_section_without_anything_in_it_is_none() {
    let provider = "llm: {providers: [{name: echo}]}";
    for text in ["clients: []", "clients:"] {
        yaml(&format!("{text}\n{provider}"), &[]).unwrap();
    }
}

#[test]
fn an_open_listener_needs_to_be_asked_for() {
    let with = |server: &str| format!("server: {{{server}}}\nllm: {{providers: [{{name: echo}}]}}");
    has(
        &mistakes(&with("listen: '0.0.0.0:8080'"), &[]),
        &[
            "0.0.0.0:8080 can be reached from outside",
            "insecure_open: true",
        ],
    );
    has(
        &mistakes(&with("listen: ['127.0.0.1:1', '[::]:8080']"), &[]),
        &["[::]:8080"],
    );
    let config = yaml(&with("listen: '0.0.0.0:8080', insecure_open: true"), &[]).unwrap();
    has(
        &config.warnings.join("\n"),
        &["anyone who can reach 0.0.0.0:8080"],
    );
    assert!(
        yaml(&with("listen: 'unix:/run/p.sock'"), &[])
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn the_graph_of_virtual_providers_is_checked() {
    let text = "
llm:
  providers: [{name: echo}, {name: both, dialect: echo}]
  virtual:
    - {name: a, upstreams: [{name: b}]}
    - {name: b, upstreams: [{name: a}, {name: echo}]}
    - {name: both, upstreams: [{name: echo}]}
    - {name: typo, upstreams: [{name: 'cerebas:x'}, {name: echoo}]}
";
    has(
        &mistakes(text, &[]),
        &[
            "virtual providers form a cycle: a -> b -> a",
            "`both` is the name of a provider and of a virtual provider",
            "`typo` references the unknown upstream `cerebas:x`; did you mean the built-in provider `cerebras`?",
            "`typo` references the unknown upstream `echoo`: did you mean `echo`",
        ],
    );
}

#[test]
fn a_mistake_in_a_provider_is_not_repeated_where_it_is_used() {
    let text = "
llm:
  default_model: v
  providers: [{name: a, base_url: 'http://localhost:1/v1', model: m, priority: x, cooldown: {default: 2h, max: 1s}}]
  virtual: [{name: v, upstreams: [{name: a}]}]
";
    has(
        &mistakes(text, &[]),
        &["2 mistakes", "priority", "cooldown"],
    );
}

#[test]
fn keys_are_never_shown() {
    let secret = "sk-topsecret-0123456789";
    let env = [
        ("KEY", "sk-topsecret-0123456789"),
        ("BAD", "sk-topsecret-ü"),
    ];
    for text in [
        format!("llm: {{providers: [{{name: groq, api_key: {{x: {secret}}}}}]}}"),
        "llm: {providers: [{name: groq, limits: {rpm: '${KEY}'}}]}".to_owned(),
        "llm: {providers: [{name: groq, api_key: k, priority: '${KEY}'}]}".to_owned(),
        "llm: {providers: [{name: groq, api_key: '${BAD}'}]}".to_owned(),
        format!(
            "llm: {{providers: [{{name: groq, api_key: k, headers: {{x: \"{secret}\\n\", 'a b': {secret}}}}}]}}"
        ),
        format!("llm: {{providers: [{{name: x, base_url: 'https://u:{secret}@h/v1'}}]}}"),
        format!("llm: {{providers: [{{name: groq, api_key: {secret}, apikey: {secret}}}]}}"),
    ] {
        let error = yaml(&text, &env).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("topsecret"), "{text}\n{shown}");
    }
    let config = yaml(
        "llm: {providers: [{name: groq, api_key: '${KEY}', headers: {X-Other: '${KEY}'}}]}",
        &env,
    )
    .unwrap();
    assert!(!format!("{config:?}").contains("topsecret"));
}

#[test]
fn a_key_in_a_wrong_place_is_shown_by_its_end_only() {
    let secret = "sk-topsecret-0123456789";
    let llm = |provider: &str| format!("llm: {{providers: [{{name: groq, {provider}}}]}}");
    let with_key = |more: &str| format!("{more}\nllm: {{providers: [{{name: groq, api_key: k}}]}}");
    for text in [
        llm(&format!("api_key_env: {secret}")),
        llm(&format!("api_key_env: [{secret}, OTHER]")),
        llm(&format!("api_key_file: {secret}")),
        llm(&format!("api_key_dir: {secret}")),
        llm(&format!("api_key: k, ca_file: {secret}")),
        llm(&format!("api_key: k, {secret}: x")),
        llm(&format!("api_key: k, timeouts: {{{secret}: 5s}}")),
        llm(&format!("api_key: k, key_rotation: {secret}")),
        llm(&format!("api_key: k, base_url: {secret}")),
        llm("api_key: k, base_url: 'https://me:topsecret-1@h:x/v1?key=topsecret'"),
        llm(&format!("api_key: '${{{secret}}}'")),
        format!("llm: {{providers: [{secret}]}}"),
        format!(
            "llm: {{providers: [{{name: {secret}, base_url: 'http://localhost:1/v1', model: m}}]}}"
        ),
        format!("llm: {{providers: {secret}}}"),
        format!("{secret}: x"),
        secret.to_owned(),
        format!("llm: {{providers: [{{name: groq, api_key: k}}\n  {secret}: *{secret}"),
        with_key(&format!("clients: [{{name: c, token_file: {secret}}}]")),
        with_key(&format!(
            "clients: [{{name: {secret}, token: t-0123456789abcdef}}]"
        )),
        with_key(&format!("server: {{listen: '{secret}'}}")),
        with_key(&format!("server: {{admin_token_file: {secret}}}")),
        with_key(&format!("log: {{level: '{secret}', format: {secret}}}")),
        format!("llm: {{default_model: {secret}, providers: [{{name: groq, api_key: k}}]}}"),
        format!(
            "llm: {{providers: [{{name: groq, api_key: k}}], virtual: [{{name: v, upstreams: [{secret}]}}]}}"
        ),
    ] {
        let error = yaml(&text, &[]).unwrap_err();
        let shown = error.to_string();
        assert!(!shown.contains("topsecret"), "{text}\n{shown}");
    }
    let shown = mistakes(&llm(&format!("api_key_env: {secret}")), &[]);
    has(&shown, &["no key is in ****6789; set the variable"]);
    // Where a key belongs, less is enough.
    let bare = "my0secret1word2";
    for text in [
        llm(&format!("api_key_env: {bare}")),
        llm(&format!("api_key_file: {bare}")),
    ] {
        let shown = mistakes(&text, &[]);
        assert!(!shown.contains("secret"), "{shown}");
    }
    let groq = "llm: {providers: [{name: groq}]}";
    for value in [secret, bare] {
        let shown = mistakes(groq, &[("GROQ_API_KEY_FILE", value)]);
        assert!(!shown.contains("secret"), "{shown}");
    }
    let unset = mistakes(&llm("api_key_env: MY_KEY_2"), &[]);
    has(&unset, &["no key is in MY_KEY_2"]);
}

#[test]
fn values_that_yaml_would_change_must_be_quoted() {
    let text = "llm: {providers: [{name: groq, api_key: 123456}, {name: echo, model: 4.10}]}";
    has(
        &mistakes(text, &[]),
        &[
            "llm.providers[0].api_key: a key must be text; put it in quotes",
            "llm.providers[1].model: expected text; put the value in quotes",
        ],
    );
}

#[test]
fn one_thing_said_twice_is_a_mistake() {
    let text = "llm: {providers: [{name: groq, api_key: k, context_window: 1, max_tokens: 2, temperature: 1, params: {temperature: 0}}]}";
    has(
        &mistakes(text, &[]),
        &[
            "llm.providers[0].max_tokens: `llm.providers[0].context_window` is the same setting",
            "params.temperature is the same setting",
        ],
    );
    has(
        &mistakes("llm: {providers: [{name: echo}, {name: echo}]}", &[]),
        &["two providers are called `echo`"],
    );
}

#[test]
fn parameters_and_headers_that_are_not_the_files_to_set() {
    let text = "
llm:
  providers:
    - {name: groq, api_key: k, params: {model: x, stream: true, MoDel: y}, headers: {Authorization: Bearer x, Host: h, Content-Length: '1'}}
";
    has(
        &mistakes(text, &[]),
        &[
            "params.MoDel: is decided by the caller and the route",
            "params.model: is decided by the caller and the route",
            "params.stream",
            "headers: there are keys and an Authorization header",
            "headers: a Host header goes only with a base_url of your own",
            "headers.Content-Length: this header is made per request",
        ],
    );
    let own = "llm: {providers: [{name: x, base_url: 'http://10.0.0.1/v1', headers: {Authorization: Basic x, Host: h}}]}";
    yaml(own, &[]).unwrap();
}

#[test]
fn an_empty_file_says_what_is_missing() {
    has(&mistakes("", &[]), &["no provider is configured"]);
    has(
        &mistakes("llm: []", &[]),
        &["llm: expected a map of keys and values, found a list"],
    );
    has(
        &mistakes("llm: {providers: {groq: {}}}", &[]),
        &["llm.providers: expected a list, found a map"],
    );
    assert!(yaml("", &[("GROQ_API_KEY", "k")]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_mangled_file_never_panics_and_never_shows_a_key(
        edits in prop::collection::vec((0usize..80, 0usize..80, 0usize..5), 1..6)
    ) {
        let example = include_str!("../../../config/examples/full.yaml");
        let mut lines: Vec<String> = example.lines().map(str::to_owned).collect();
        for (at, other, kind) in edits {
            let (at, other) = (at % lines.len(), other % lines.len());
            match kind {
                0 => { lines.remove(at); }
                1 => { let line = lines[other].clone(); lines.insert(at, line); }
                2 => lines[at].insert_str(0, "  "),
                3 => lines[at] = lines[at].replacen("  ", "", 1),
                // A variable that becomes part of a name is shown: it was meant as one.
                _ if ["oss", "listen"].iter().any(|part| lines[at].contains(part)) => {}
                _ => lines[at] = lines[at].replace(|c: char| c.is_ascii_digit(), "${GROQ_API_KEY}"),
            }
        }
        let secret = "sk-topsecret-0123456789";
        let shown = match yaml(&lines.join("\n"), &[("GROQ_API_KEY", secret), ("WEB_TOKEN", secret)]) {
            Ok(config) => format!("{config:?} {}", config.warnings.join("\n")),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains("topsecret"), "{shown}");
    }
}
