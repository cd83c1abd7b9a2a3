//! What overrides what.

use super::*;

const FILE: &str = "
server: {listen: '127.0.0.1:1', max_in_flight: 5}
llm:
  providers:
    - name: echo
      model: file
      headers: {X-Title: Keep My Case}
      params: {top_p: 0.5, customKey: 1}
";

#[test]
fn command_line_over_environment_over_file_over_defaults() {
    let dir = ConfigDir::new().with("pointsman.yaml", FILE);
    let variables = [
        ("POINTSMAN__SERVER__LISTEN", "127.0.0.1:2,unix:/tmp/x.sock"),
        ("POINTSMAN__SERVER__MAX_IN_FLIGHT", "6"),
        ("POINTSMAN__LLM__PROVIDERS__0__MODEL", "environment"),
        ("POINTSMAN__LLM__PROVIDERS__0__PARAMS__TOP_P", "0.9"),
        ("POINTSMAN__SERVER__MAX_BODY", ""),
    ];
    let mut request = request(&dir.0, &variables);
    let config = load(&request).unwrap();
    let listen: Vec<String> = config
        .server
        .listen
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(listen, ["127.0.0.1:2", "unix:/tmp/x.sock"]);
    assert_eq!(config.server.max_in_flight, 6);
    assert_eq!(config.server.max_body, 32 * 1024 * 1024);
    assert_eq!(config.server.drain_timeout.as_secs(), 30);
    assert_eq!(upstreams(&config, None), ["echo:environment"]);
    assert_eq!(config.providers[0].params["top_p"], 0.9);
    request.listen = vec!["127.0.0.1:3".to_owned(), "[::1]:3".to_owned()];
    let config = load(&request).unwrap();
    let listen: Vec<String> = config
        .server
        .listen
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(listen, ["127.0.0.1:3", "[::1]:3"]);
    assert_eq!(
        config.sources,
        ["pointsman.yaml", "environment POINTSMAN__…", "command line"]
    );
}

#[test]
fn header_names_and_parameters_keep_their_case() {
    let config = yaml(FILE, &[("POINTSMAN__SERVER__LISTEN", "127.0.0.1:2")]).unwrap();
    let (name, value) = &config.providers[0].headers[0];
    assert_eq!((name.as_str(), value.expose()), ("X-Title", "Keep My Case"));
    assert_eq!(config.providers[0].params["customKey"], 1);
}

#[test]
fn mistakes_name_the_layer_they_are_in() {
    let dir = ConfigDir::new().with("pointsman.yaml", FILE);
    let variables = [
        ("POINTSMAN__SERVER__MAX_IN_FLIGHT", "many"),
        ("POINTSMAN__LLM__PROVIDERS__0__PRIORITY", "-1"),
        ("POINTSMAN__SERVER__LITSEN", "x"),
        ("POINTSMAN__LLM__PROVIDERS__99999__NAME", "x"),
    ];
    let mut request = request(&dir.0, &variables);
    request.listen = vec!["8080".to_owned()];
    let text = load(&request).unwrap_err().to_string();
    has(
        &text,
        &[
            "environment POINTSMAN__SERVER__MAX_IN_FLIGHT: expected a whole number",
            "environment POINTSMAN__LLM__PROVIDERS__0__PRIORITY",
            "environment POINTSMAN__SERVER__LITSEN: unknown key; did you mean `listen`?",
            "environment POINTSMAN__LLM__PROVIDERS__99999__NAME: does not name a key",
            "command line (server.listen[0]): `8080` has no host; write 127.0.0.1:8080",
        ],
    );
}

#[test]
fn dotenv_fills_up_and_never_overrides() {
    let dir = ConfigDir::new()
        .with(
            ".env",
            "GROQ_API_KEY=from-file\nexport MODEL='m n'\n# comment\nPOINTSMAN__LOG__FORMAT=json\n",
        )
        .with(
            "pointsman.yaml",
            "llm: {providers: [{name: groq, model: '${MODEL}'}]}",
        );
    let config = load(&request(&dir.0, &[])).unwrap();
    assert_eq!(keys(provider(&config, "groq")), ["from-file"]);
    assert_eq!(upstreams(&config, None), ["groq:m n"]);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(
        config.sources,
        ["pointsman.yaml", ".env", "environment POINTSMAN__…"]
    );
    let config = load(&request(&dir.0, &[("GROQ_API_KEY", "set")])).unwrap();
    assert_eq!(keys(provider(&config, "groq")), ["set"]);
}

#[test]
fn toml_and_json_say_the_same_as_yaml() {
    let toml = "
[server]
listen = ['127.0.0.1:1']
max_in_flight = 5
[[llm.providers]]
name = 'echo'
model = 'file'
headers = {X-Title = 'Keep My Case'}
params = {top_p = 0.5, customKey = 1}
";
    let json = r#"{"server": {"listen": ["127.0.0.1:1"], "max_in_flight": 5}, "llm": {"providers": [
        {"name": "echo", "model": "file", "headers": {"X-Title": "Keep My Case"}, "params": {"top_p": 0.5, "customKey": 1}}]}}"#;
    let plain = yaml(FILE, &[]).unwrap();
    for config in [
        load_as("pointsman.toml", toml, &[]).unwrap(),
        load_as("pointsman.json", json, &[]).unwrap(),
    ] {
        assert_eq!(config.server, plain.server);
        assert_eq!(config.providers[0].headers, plain.providers[0].headers);
        assert_eq!(config.providers[0].params, plain.providers[0].params);
    }
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "\u{feff}
llm:
  providers:
    - &base
      name: a
      dialect: echo
      model: m
      timeouts: &times {connect: 1s}
    - {<<: *base, name: b}
    - {<<: [*base], name: c, timeouts: {<<: *times, idle: 2s}}
";
    let config = yaml(text, &[]).unwrap();
    assert_eq!(upstreams(&config, Some("b")), ["b:m"]);
    assert_eq!(provider(&config, "c").timeouts.connect.as_secs(), 1);
    assert_eq!(provider(&config, "c").timeouts.idle.as_secs(), 2);
}
