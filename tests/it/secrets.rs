//! Key material appears in no answer and in no log line, whatever goes wrong; and it comes from where it is mounted.
//!
//! Every test of this program has keys with a mark, and everything that it sees is searched for it
//! (`support::planted`). Here the keys are provoked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::behaviour::{chunk, event, role};
use crate::support::gateway::filled;
use crate::support::planted::{MARK, planted};
use crate::support::temp::TempDir;
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream, chat, until};

const YAML: &str = "
log: {format: FORMAT, level: trace}
llm:
  providers:
    - name: a
      base_url: <a>
      model: m
      api_keys: [sk-planted-alpha-0001, sk-planted-bravo-0002, \"${THIRD}\"]
      headers: {X-Account: sk-planted-header-0004}
      retry: {same_upstream: 1, waits: [1ms]}
      cooldown: {default: 0s}
    - {name: b, base_url: \"<a>\", model: m, api_key: sk-planted-delta-0005}
  virtual:
    - {name: v, upstreams: [a, b]}
";

/// The one key of [`ECHO`], with characters that are written in escapes.
const KEY: &str = "sk-planted-Ab3/dE+fGh1jKlMn0pQrStUvWxYz";

const ECHO: &str = "
log: {format: FORMAT, level: trace}
llm:
  providers:
    - name: a
      base_url: <a>
      model: m
      api_key: KEY
      headers: {X-Auth: \"Token sk-planted-second-credential-9876\"}
      retry: {same_upstream: 0}
      cooldown: {default: 0s}
      circuit_breaker: {failure_threshold: 0, failure_rate: 0}
";

fn told(text: &str) -> bool {
    text.contains("planted") || text.contains("Bearer sk-")
}

/// No six characters of the key in a row, nor its end.
#[track_caller]
fn assert_no_trace(text: &str) {
    assert!(!told(text), "{text}");
    for piece in [
        "Ab3/dE",
        "fGh1jK",
        "KlMn0p",
        "QrStUv",
        "WxYz",
        "second-cred",
        "-9876",
    ] {
        assert!(!text.contains(piece), "{piece}: {text}");
    }
}

/// All the ways in which an upstream may say a key.
fn sayings() -> Vec<String> {
    let escaped = |c: char| format!("\\u{:04x}", u32::from(c));
    vec![
        KEY.to_owned(),
        format!("'{KEY}'"),
        KEY.replace('/', "\\/"),
        KEY.replace('+', "\\u002b").replace('/', "\\u002F"),
        KEY.replace('+', "\\\\u002b"),
        KEY.replace('+', "%2B").replace('/', "%2F"),
        KEY.replace('+', "&#43;").replace('/', "&#x2f;"),
        KEY.chars().map(escaped).collect(),
        KEY[..20].to_owned(),
        KEY[15..].to_owned(),
        format!("{}****************{}", &KEY[..8], &KEY[KEY.len() - 4..]),
        format!("{}...{}", &KEY[..12], &KEY[KEY.len() - 4..]),
        format!("it ends in {}", &KEY[KEY.len() - 4..]),
        "sk-planted-second-credential-9876".to_owned(),
    ]
}

#[tokio::test]
async fn an_upstream_that_says_a_key_is_not_repeated() {
    for (at, saying) in sayings().into_iter().enumerate() {
        let format = if at % 2 == 0 { "json" } else { "text" };
        let a = ScriptedUpstream::start().await;
        let yaml = ECHO.replace("FORMAT", format).replace("KEY", KEY);
        let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
        let error = format!(
            r#"{{"error":{{"message":"Incorrect API key provided: {saying}. Bye","type":"x","code":null,"param":null}},"n":12}}"#
        );
        // Inside of a 200 the words alone say what is wrong, and a wrong key would be out.
        let inside = error.replace("Incorrect API key provided", "Overloaded, you");
        let location = format!("/?key={KEY}");
        let bearer = format!("Bearer {KEY}");
        for behaviour in [
            // Relayed as they are, but for the key.
            Behaviour::json(400, &error),
            Behaviour::json(422, &error).gzip(),
            Behaviour::json(422, &error).compressed("br"),
            Behaviour::json(422, &error).compressed("zstd"),
            Behaviour::json(422, &error).header("x-seen", &KEY.replace('+', "%2B")),
            Behaviour::body(400, "text/html", &format!("<p>{saying}</p>")),
            // Not relayed, but logged.
            Behaviour::json(429, &error),
            Behaviour::json(500, &error),
            Behaviour::json(200, &inside),
            Behaviour::body(302, "text/plain", &saying).header("location", &location),
            Behaviour::body(200, "text/html", &saying),
            // Inside of streams, before and after they begin.
            Behaviour::events([event(&inside)]),
            Behaviour::events([role(), chunk("hello"), event(&inside)]),
            // In the head of what serves.
            Behaviour::says("fine").header("x-seen", KEY),
            Behaviour::streams(&["fine"]).header("x-seen", &bearer),
            // Takes the key out, so it comes last.
            Behaviour::json(401, &error),
        ] {
            a.on(Match::any(), [behaviour]);
            for call in [gateway.chat("a"), gateway.chat_stream("a")] {
                let answer = call.awaits("0").send().await;
                assert_no_trace(answer.text());
                assert_no_trace(&format!("{:?}", answer.headers));
                let json = answer
                    .header("content-type")
                    .starts_with("application/json");
                assert!(!json || answer.json().is_object());
                if answer.status == 422 || answer.text().contains("hello") {
                    let text = answer.text();
                    assert!(text.contains(r#""n":12"#), "the rest is as it was: {text}");
                }
            }
        }
        assert_eq!(a.count(), 31, "all but the very last were sent");
        assert_eq!(
            a.requests()[0].header("authorization"),
            Some(bearer.as_str())
        );
        for line in gateway.finish().await {
            assert_no_trace(&line);
        }
    }
}

#[tokio::test]
async fn an_error_that_cannot_be_searched_is_withheld() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(
        &ECHO.replace("FORMAT", "json").replace("KEY", KEY),
        &[("a", &a)],
    )
    .await;
    for behaviour in [
        Behaviour::json(400, "not brotli").header("content-encoding", "br"),
        Behaviour::json(400, KEY).header("content-encoding", "gzip, gzip"),
        Behaviour::json(400, "not gzip").header("content-encoding", "gzip"),
        Behaviour::json(400, &format!("{}{KEY}", " ".repeat(512 * 1024))),
        Behaviour::json(400, &" ".repeat(64 << 20)).gzip(),
    ] {
        a.on(Match::any(), [behaviour]);
        let answer = gateway.chat("a").send().await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "answer_withheld")
        );
        assert_eq!(answer.header("content-encoding"), "");
    }
}

#[tokio::test]
async fn planted_keys_are_in_no_log_line_and_in_no_answer() {
    for format in ["json", "text"] {
        let a = ScriptedUpstream::start().await;
        let env = [("THIRD", "sk-planted-gamma-0003")];
        let yaml = YAML.replace("FORMAT", format);
        let gateway = Gateway::start_with(&yaml, &[("a", &a)], &env).await;
        let behaviours = [
            Behaviour::says("fine"),
            Behaviour::rate_limited(),
            Behaviour::error(401, "invalid_api_key", "Incorrect API key provided"),
            Behaviour::fails(500),
            Behaviour::fails(402),
            Behaviour::body(200, "text/html", "<html>"),
            Behaviour::says("").reset(At::BeforeHead),
            Behaviour::raw(b"nonsense\r\n\r\n"),
        ];
        for (at, behaviour) in behaviours.into_iter().enumerate() {
            a.on(Match::any(), [behaviour]);
            for model in ["v".to_owned(), format!("a:m{at}"), format!("b:m{at}")] {
                for call in [gateway.chat(&model), gateway.chat_stream(&model)] {
                    let answer = call.awaits("0").send().await;
                    let head = format!("{:?}", answer.headers);
                    assert!(!told(&head), "{head}");
                    assert!(!told(answer.text()), "{}", answer.text());
                }
            }
        }
        for path in ["/v1/models", "/health", "/health/ready", "/nowhere"] {
            let answer = gateway.get(path).send().await;
            assert!(!told(answer.text()), "{path}: {}", answer.text());
        }
        assert!(
            a.keys().iter().any(|key| key == "gamma-0003"),
            "they were used"
        );
        let lines = gateway.finish().await;
        assert!(lines.len() > 50, "level trace says something");
        for line in lines {
            assert!(!told(&line), "{line}");
        }
    }
}

#[tokio::test]
async fn the_prompt_and_the_answer_are_not_logged() {
    let a = ScriptedUpstream::playing([Behaviour::says("confidential answer")]).await;
    let yaml = YAML.replace("FORMAT", "json");
    let env = [("THIRD", "x")];
    let gateway = Gateway::start_with(&yaml, &[("a", &a)], &env).await;
    let body = r#"{"model":"v","messages":[{"role":"user","content":"confidential question"}]}"#;
    assert_eq!(
        gateway.post_chat(body).send().await.says(),
        "confidential answer"
    );
    for line in gateway.finish().await {
        assert!(!line.contains("confidential"), "{line}");
    }
}

#[tokio::test]
async fn check_shows_keys_masked() {
    let dir = TempDir::new();
    let place = "http://127.0.0.1:9/v1".to_owned();
    dir.write(
        "pointsman.yaml",
        &filled(&YAML.replace("FORMAT", "json"), &[("a", &place)]),
    );
    let env = [("THIRD", "sk-planted-gamma-0003")];
    for arguments in [&["check"][..], &["check", "--json"]] {
        let output = crate::support::gateway::run(dir.path(), arguments, &env).await;
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{text}");
        assert!(
            text.contains("THIRD"),
            "which variable was used is shown: {text}"
        );
        for secret in [
            "alpha-0001",
            "bravo-0002",
            "gamma-0003",
            "delta-0005",
            "planted",
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[tokio::test]
async fn mistakes_in_a_configuration_do_not_quote_its_keys() {
    let dir = TempDir::new();
    let yaml = YAML
        .replace("FORMAT", "neither")
        .replace("api_key:", "api_kye:");
    dir.write("pointsman.yaml", &yaml);
    let output = crate::support::gateway::run(dir.path(), &["check"], &[]).await;
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(text.contains("THIRD") && !told(&text), "{text}");
}

/// A provider `a` whose keys are read from `keys`, a file or a directory beside the configuration.
async fn reading(dir: TempDir, a: &ScriptedUpstream) -> Gateway {
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key_file: keys}
";
    dir.write("gateway.yaml", &filled(yaml, &[("a", a)]));
    Gateway::start_in(dir, &["--config", "gateway.yaml"], &[]).await
}

/// Asks until the last key that was used is one of these.
async fn uses(gateway: &Gateway, a: &ScriptedUpstream, key: &str) {
    until(&format!("the key {key}"), async || {
        assert_eq!(gateway.chat("a").send().await.status, 200);
        tokio::time::sleep(crate::support::ms(50)).await;
        a.keys().last().is_some_and(|last| last == key)
    })
    .await;
}

/// Puts a version of a secret in place as Kubernetes does it: a new hidden directory, then one link is swapped.
fn mount(at: &Path, version: &str, keys: &[(&str, &str)]) {
    fs::create_dir_all(at.join(version)).unwrap();
    for (name, key) in keys {
        fs::write(at.join(version).join(name), planted(key)).unwrap();
        drop(symlink(format!("..data/{name}"), at.join(name)));
    }
    symlink(version, at.join("..data_tmp")).unwrap();
    fs::rename(at.join("..data_tmp"), at.join("..data")).unwrap();
}

#[tokio::test]
async fn a_secret_mount_that_is_swapped_is_noticed() {
    let a = ScriptedUpstream::start().await;
    let dir = TempDir::new();
    let keys = dir.path().join("keys");
    mount(&keys, "..2026_01", &[("first", "k1")]);
    let gateway = reading(dir, &a).await;
    uses(&gateway, &a, "k1").await;
    mount(&keys, "..2026_02", &[("first", "k2")]);
    fs::remove_dir_all(keys.join("..2026_01")).unwrap();
    uses(&gateway, &a, "k2").await;
    // A key more, then a key less.
    mount(&keys, "..2026_03", &[("first", "k2"), ("second", "k3")]);
    uses(&gateway, &a, "k3").await;
    mount(&keys, "..2026_04", &[("second", "k3")]);
    fs::remove_file(keys.join("first")).unwrap();
    until("the first key to be gone", async || {
        let before = a.count();
        for _ in 0..4 {
            gateway.chat("a").send().await;
        }
        a.keys()[before..].iter().all(|key| key == "k3")
    })
    .await;
}

#[tokio::test]
async fn a_key_file_behind_a_swapped_link_or_edited_in_place_is_noticed() {
    let a = ScriptedUpstream::start().await;
    let dir = TempDir::new();
    let at = dir.path().to_owned();
    mount(&at.join("mounted"), "..1", &[("key", "k1")]);
    symlink("mounted/key", at.join("keys")).unwrap();
    let gateway = reading(dir, &a).await;
    uses(&gateway, &a, "k1").await;
    mount(&at.join("mounted"), "..2", &[("key", "k2")]);
    uses(&gateway, &a, "k2").await;
    // In place, and in two steps: half a key is never used.
    let file = at.join("mounted/..2/key");
    fs::write(&file, "").unwrap();
    fs::write(&file, format!("# new\n\n{}\n", planted("k3"))).unwrap();
    uses(&gateway, &a, "k3").await;
    // A mistake changes nothing.
    fs::write(&file, "").unwrap();
    gateway.logged("holds no key").await;
    assert_eq!(gateway.chat("a").send().await.status, 200);
    assert_eq!(a.keys().last().unwrap(), "k3");
}

#[tokio::test]
async fn a_variable_that_names_a_file_is_enough() {
    let a = ScriptedUpstream::start().await;
    let dir = TempDir::new();
    let secret = dir.write("groq", &planted("k1"));
    let yaml = "llm: {providers: [{name: groq, base_url: <a>, model: m}]}";
    dir.write("gateway.yaml", &filled(yaml, &[("a", &a)]));
    let env = [("GROQ_API_KEY_FILE", secret.to_str().unwrap())];
    let gateway = Gateway::start_in(dir, &["--config", "gateway.yaml"], &env).await;
    assert_eq!(gateway.post_chat(chat("groq")).send().await.status, 200);
    fs::write(&secret, planted("k2")).unwrap();
    until("the new key", async || {
        gateway.post_chat(chat("groq")).send().await;
        a.keys().last().is_some_and(|last| last == "k2")
    })
    .await;
}

#[test]
fn the_marks_are_planted() {
    let yaml = "{api_key: k1, api_keys: [k2, \"${X}\", \"k3\"]}\n- api_key: \"k4, k5\"\n  api_key_env: GROQ";
    let marked = crate::support::planted::in_yaml(yaml);
    for key in ["k1", "k2", "k3", "k4", "k5"] {
        assert!(marked.contains(&format!("{MARK}{key}")), "{marked}");
    }
    assert!(
        marked.contains("\"${X}\"") && marked.contains("api_key_env: GROQ"),
        "{marked}"
    );
}

#[tokio::test]
async fn text_that_turns_or_hides_is_escaped_on_the_terminal() {
    let dir = TempDir::new();
    let yaml = |provider: &str| format!("llm: {{providers: [{{name: groq, {provider}}}]}}");
    for provider in [
        "api_key: k, model: \"x\\u202ey\\u2066\\u200b\\ufeffz\"",
        "api_key: k, \"x\\u202ey\\u2066\\u200b\\ufeffz\": 1",
    ] {
        dir.write("pointsman.yaml", &yaml(provider));
        for arguments in [&["check"][..], &["check", "--json"]] {
            let output = crate::support::gateway::run(dir.path(), arguments, &[]).await;
            let all = [output.stdout, output.stderr].concat();
            let all = String::from_utf8(all).unwrap();
            assert!(!all.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}']));
            let shown = ["\\u202ey", "\\u{202e}y"];
            assert!(shown.iter().any(|shown| all.contains(shown)), "{all}");
        }
    }
}

#[tokio::test]
async fn text_that_turns_or_hides_is_escaped_in_the_log() {
    let a = crate::support::ScriptedUpstream::start().await;
    for format in ["json", "text"] {
        let yaml = format!(
            "llm: {{providers: [{{name: a, base_url: <a>, model: m, api_key: k1}}]}}\nlog: {{format: {format}}}\n"
        );
        let gateway = crate::support::Gateway::start(&yaml, &[("a", &a)]).await;
        let model = "a:x\u{202e}y\u{2066}\u{200b}\u{e0041}\u{feff}z";
        gateway.chat(model).send().await;
        let lines = gateway.finish().await.join("\n");
        assert!(!lines.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{e0041}', '\u{feff}']));
        let shown = if format == "json" {
            "\\u202ey"
        } else {
            "\\u{202e}y"
        };
        assert!(lines.contains(shown), "{lines}");
    }
}

/// The exit code of whoever cannot listen.
const CANNOT_BIND: i32 = 69;
/// Keys, one of a known form and one that is suspected by its place alone: both end in `ghij`.
const MISPLACED: [&str; 2] = ["sk-live-0123456789abcdefghij", "my-own-0123456789ghij"];

/// Configurations with a key in a wrong place, and the variable that holds it, if it is one.
/// And the exit code of whoever starts with it.
fn misplaced(key: &str) -> Vec<(String, Option<&'static str>, i32)> {
    let by_place = [
        "llm: {providers: [{name: groq, api_key_env: KEY}]}",
        "llm: {providers: [{name: groq, api_key_file: KEY}]}",
        "llm: {providers: [{name: groq, api_key: k}]}\nclients: [{name: c, token_file: KEY}]",
        "llm: {providers: [{name: groq, api_key: k}]}\nserver: {admin_token_file: KEY}",
    ];
    let by_form = [
        "llm: {providers: [{name: groq, api_key: k, KEY: x}]}",
        "llm: {providers: [KEY]}",
    ];
    // What is not known by its form is known by its place alone.
    let known = by_form.iter().filter(|_| key.starts_with("sk-"));
    let texts = by_place.iter().chain(known);
    let mut all: Vec<_> = texts
        .map(|text| (text.replace("KEY", key), None, 78))
        .collect();
    let variable = Some("GROQ_API_KEY_FILE");
    all.push(("llm: {providers: [{name: groq}]}".to_owned(), variable, 78));
    if key.starts_with("sk-") {
        let text =
            "llm: {providers: [{name: groq, api_key: k}]}\nserver: {listen: 'unix:/nowhere/KEY'}";
        all.push((text.replace("KEY", key), None, CANNOT_BIND));
    }
    all
}

#[tokio::test]
async fn a_key_in_a_wrong_place_is_not_printed() {
    let dir = TempDir::new();
    for key in MISPLACED {
        for (text, variable, code) in misplaced(key) {
            dir.write("pointsman.yaml", &text);
            let env: Vec<_> = variable.map(|name| (name, key)).into_iter().collect();
            for arguments in [&["check"][..], &["check", "--json"], &["serve"]] {
                // Some mistakes are seen only when it starts.
                if code == CANNOT_BIND && arguments[0] == "check" {
                    continue;
                }
                let output = crate::support::gateway::run(dir.path(), arguments, &env).await;
                let all = [output.stdout, output.stderr].concat();
                let all = String::from_utf8_lossy(&all).into_owned();
                assert_eq!(output.status.code(), Some(code), "{text}{all}");
                assert!(!all.contains("012345"), "{text}{all}");
                assert!(all.contains("****ghij"), "{text}{all}");
            }
        }
    }
}
