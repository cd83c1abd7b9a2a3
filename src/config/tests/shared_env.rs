//! A `.env` that other programs use too, and keys that did not come as they were meant.

use super::*;

const ONE: &str = "llm: {providers: [{name: p, base_url: 'http://127.0.0.1:1/v1', model: m, api_key: '${MY_KEY}'}]}";

fn with_dotenv(dotenv: &[u8]) -> Result<Config, ConfigErrors> {
    let dir = ConfigDir::new().with("pointsman.yaml", ONE);
    std::fs::write(dir.0.join(".env"), dotenv).unwrap();
    load(&request(&dir.0, &[]))
}

#[test]
fn lines_of_other_programs_do_not_break_the_start() {
    for line in [
        "APP_NAME=My Great App",
        "JAVA_OPTS=-Xmx1g -Xms1g",
        "CREDS={\"type\": \"service_account\", \"id\": \"x\"}",
        "export PATH_TO=/x:$PATH",
        "X: y",
        "KEY = value",
        "GREETING='tis not closed",
        "TITLE=\"not closed either",
        "QUOTED=\"a\" and 'b'",
        "PEM=\"-----BEGIN KEY-----\nabc=\n-----END KEY-----\"",
        "just words",
        "[section]",
        "=nameless",
        "1ABC=digit",
        "COLON-DASH.DOT=x",
        "BACK\\SLASH=\\",
        "TICKS=`date`",
        "export",
        "\t",
        "NUL=a\0b",
    ] {
        for end in ["\n", "\r\n"] {
            let text =
                format!("\u{feff}{line}\nMY_KEY=sk-plain-0001\nLATER=x\n").replace('\n', end);
            let config = with_dotenv(text.as_bytes());
            let config = config.unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(keys(provider(&config, "p")), ["sk-plain-0001"], "{line}");
        }
    }
    let mut bytes = b"LATIN=caf\xe9\nMY_KEY=sk-plain-0001\nLONG=".to_vec();
    bytes.extend(vec![b'x'; 1 << 20]);
    let config = with_dotenv(&bytes).unwrap();
    assert_eq!(keys(provider(&config, "p")), ["sk-plain-0001"]);
    let text = config.warnings.join("\n");
    has(&text, &["line 1 of .env was skipped"]);
    assert!(!text.contains("caf"), "{text}");
}

#[test]
fn values_are_taken_as_they_are_written() {
    for (written, meant) in [
        ("sk-$HOME-${USER}-$$", "sk-$HOME-${USER}-$$"),
        ("'sk-$a\\n'", "sk-$a\\n"),
        ("\"sk-\\\"x\\\\\"", "sk-\"x\\"),
        ("  sk-spaced  # a comment", "sk-spaced"),
        ("sk-with#hash", "sk-with#hash"),
        ("\"sk-quoted\" # a comment", "sk-quoted"),
        ("'sk-#1'", "sk-#1"),
    ] {
        let config = with_dotenv(format!("MY_KEY={written}\n").as_bytes()).unwrap();
        assert_eq!(keys(provider(&config, "p")), [meant], "{written}");
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }
}

#[test]
fn a_line_that_was_skipped_is_named_where_a_variable_is_missing() {
    let error = with_dotenv(b"A=1\nMY_KEY: sk-secret-0001\nB=2\n").unwrap_err();
    let text = error.to_string();
    has(&text, &["MY_KEY is not set", "line 2 of .env was skipped"]);
    assert!(!text.contains("secret"), "{text}");
    let dir = ConfigDir::new()
        .with("pointsman.yaml", "llm: {providers: [{name: mine, base_url: 'http://127.0.0.1:1/v1', model: m, api_key_env: MINE}]}")
        .with(".env", "MINE sk-secret-0001\nother words\n");
    let text = load(&request(&dir.0, &[])).unwrap_err().to_string();
    has(
        &text,
        &["no key is in MINE", "lines 1 and 2 of .env were skipped"],
    );
    let dir = ConfigDir::new().with(".env", "GROQ_API_KEY: sk-secret-0001\n");
    let text = load(&request(&dir.0, &[])).unwrap_err().to_string();
    has(
        &text,
        &["nothing is configured", "line 1 of .env was skipped"],
    );
}

#[test]
fn a_dotenv_that_cannot_be_read_is_no_mistake_by_itself() {
    use std::os::unix::fs::symlink;
    let dir = ConfigDir::new().with("pointsman.yaml", ONE);
    std::fs::create_dir(dir.0.join(".env")).unwrap();
    assert!(load(&request(&dir.0, &[("MY_KEY", "sk-plain-0001")])).is_ok());
    let dir = ConfigDir::new().with("pointsman.yaml", ONE);
    symlink("nowhere", dir.0.join(".env")).unwrap();
    assert!(load(&request(&dir.0, &[("MY_KEY", "sk-plain-0001")])).is_ok());
}

#[test]
fn keys_that_carry_more_than_the_key_are_warned_of_wherever_they_come_from() {
    for (value, word) in [
        ("\"sk-plain-0001\"", "quotes"),
        ("'sk-plain-0001'", "quotes"),
        ("`sk-plain-0001`", "quotes"),
        ("sk-a-0000000001,'sk-b-0000000001'", "quotes"),
        (" sk-plain-0001", "blanks"),
        ("sk-plain-0001\n", "blanks"),
        ("Bearer sk-plain-0001", "Bearer"),
        ("bearer: sk-plain-0001", "Bearer"),
    ] {
        let name = "MY_KEY";
        let through = yaml(ONE, &[(name, value)]).unwrap();
        let by_env = ONE.replace("api_key: '${MY_KEY}'", "api_key_env: MY_KEY");
        let by_env = yaml(&by_env, &[(name, value)]).unwrap();
        let dir = ConfigDir::new()
            .with(
                "pointsman.yaml",
                &ONE.replace("api_key: '${MY_KEY}'", "api_key_file: keys"),
            )
            .with(
                "keys",
                &format!("# keys\n{}\n", value.trim_end_matches('\n')),
            );
        // A line is one key, and what cannot be sent is a mistake.
        let by_file = load(&request(&dir.0, &[]));
        let sendable = !value.trim().contains(' ') && !value.ends_with('\n');
        let by_file = sendable.then(|| by_file.unwrap());
        let written = ONE.replace("'${MY_KEY}'", &serde_json::to_string(value).unwrap());
        let written = yaml(&written, &[]).unwrap();
        let sources = [
            (Some(&through), "MY_KEY"),
            (Some(&by_env), "environment MY_KEY"),
            (by_file.as_ref(), "keys line 2"),
            (Some(&written), "llm.providers[0].api_key"),
        ];
        for (config, source) in sources {
            let Some(config) = config else { continue };
            let text = config.warnings.join("\n");
            has(&text, &[word, source]);
            assert!(!text.contains("0001"), "{text}");
        }
    }
    let config = yaml(ONE, &[("MY_KEY", "\"sk-plain-0001\"")]).unwrap();
    assert_eq!(
        keys(provider(&config, "p")),
        ["\"sk-plain-0001\""],
        "it stays literal"
    );
    let found = load(&request(
        &ConfigDir::new().0,
        &[("GROQ_API_KEY", "'gsk-plain-0001'")],
    ))
    .unwrap();
    has(&found.warnings.join("\n"), &["quotes", "GROQ_API_KEY"]);
}

#[test]
fn byte_order_marks_and_line_ends_of_windows_are_no_part_of_a_file() {
    for (name, text) in [
        (
            "pointsman.yaml",
            "llm:\r\n  providers:\r\n    - {name: p, base_url: 'http://127.0.0.1:1/v1', model: m, api_key_file: keys}\r\n",
        ),
        (
            "pointsman.toml",
            "[[llm.providers]]\r\nname = 'p'\r\nbase_url = 'http://127.0.0.1:1/v1'\r\nmodel = 'm'\r\napi_key_file = 'keys'\r\n",
        ),
        (
            "pointsman.json",
            "{\"llm\": {\"providers\":\r\n[{\"name\": \"p\", \"base_url\": \"http://127.0.0.1:1/v1\", \"model\": \"m\", \"api_key_file\": \"keys\"}]}}\r\n",
        ),
    ] {
        let text = format!("\u{feff}{text}");
        let dir = ConfigDir::new()
            .with(name, &text)
            .with("keys", "\u{feff}sk-plain-0001\r\nsk-plain-0002\r\n");
        let config = load(&request(&dir.0, &[])).unwrap();
        assert_eq!(
            keys(provider(&config, "p")),
            ["sk-plain-0001", "sk-plain-0002"]
        );
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
        let given = load_text(name, &text, &request(&dir.0, &[])).unwrap();
        assert_eq!(keys(provider(&given, "p")).len(), 2, "{name}");
    }
}
