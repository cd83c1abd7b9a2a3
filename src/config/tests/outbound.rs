//! The way out: addresses, proxies, certificate authorities, names, and keys from mounted files.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;
use crate::config::{DnsConfig, ProxyConfig};

const S: Duration = Duration::from_secs(1);

fn one(more: &str) -> String {
    format!(
        "llm:\n  providers:\n    - {{name: a, base_url: \"https://api.example/v1\", model: m, api_key: k{more}}}\n"
    )
}

#[test]
fn addresses_that_no_provider_has_are_mistakes() {
    for host in [
        "169.254.169.254",
        "2852039166",
        "0xA9FEA9FE",
        "169.254.43518:80",
        "[fe80::1]",
        "[::ffff:169.254.169.254]:8080",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "0.0.0.0:11434",
        "224.0.0.1",
    ] {
        let text = one("").replace("api.example", host);
        let text = mistakes(&text, &[]);
        has(&text, &["llm.providers[0].base_url: leads to", "address"]);
    }
    let allowed = one(", allow_link_local: true").replace("api.example", "169.254.169.254");
    assert!(yaml(&allowed, &[]).is_ok());
    let never = one(", allow_link_local: true").replace("api.example", "0.0.0.0");
    has(&mistakes(&never, &[]), &["write 127.0.0.1"]);
    for fine in [
        "127.0.0.1:11434",
        "10.0.0.8",
        "192.168.1.2",
        "localhost",
        "[::1]",
    ] {
        assert!(
            yaml(&one("").replace("api.example", fine), &[]).is_ok(),
            "{fine}"
        );
    }
    let prefill = one(", prefill_url: \"http://169.254.169.254/beta\"");
    has(
        &mistakes(&prefill, &[]),
        &["prefill_url: leads to 169.254.169.254"],
    );
}

#[test]
fn proxies_are_none_until_named_and_never_shown() {
    let config = yaml(&one(""), &[("HTTPS_PROXY", "http://nobody:1")]).unwrap();
    assert_eq!(config.providers[0].proxy, Some(ProxyConfig::Off));
    let text = one(", proxy: \"http://me:hunter2-secret@proxy.example:3128\"");
    let config = yaml(&text, &[]).unwrap();
    assert!(
        matches!(&config.providers[0].proxy, Some(ProxyConfig::Url(url)) if url.expose().contains("hunter2"))
    );
    assert!(!format!("{config:?}").contains("hunter2"));
    for wrong in [
        "socks5://hunter2-secret:1",
        "hunter2-secret",
        "proxy:80/x y",
        "http://",
        "http://169.254.1.1:1",
    ] {
        let text = mistakes(&one(&format!(", proxy: \"{wrong}\"")), &[]);
        has(&text, &["llm.providers[0].proxy"]);
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_common_proxy_is_for_providers_that_are_far() {
    let text = "
llm:
  proxy: environment
  providers:
    - {name: far, base_url: \"https://api.example/v1\", model: m, api_key: k}
    - {name: near, base_url: \"http://192.168.0.2/v1\", model: m}
    - {name: own, base_url: \"http://192.168.0.2/v1\", model: m, proxy: \"http://127.0.0.1:3128\"}
    - {name: direct, base_url: \"https://api.example/v1\", model: m, api_key: k, proxy: off}
";
    let config = yaml(text, &[]).unwrap();
    let proxy = |name| provider(&config, name).proxy.clone();
    assert_eq!(proxy("far"), Some(ProxyConfig::Environment));
    assert_eq!(proxy("near"), None);
    assert!(matches!(proxy("own"), Some(ProxyConfig::Url(_))));
    assert_eq!(proxy("direct"), Some(ProxyConfig::Off));
}

#[test]
fn a_key_in_the_clear_over_the_network_is_a_warning() {
    let open = one("").replace("https://", "http://");
    let warnings = yaml(&open, &[]).unwrap().warnings.join("\n");
    has(&warnings, &["unencrypted"]);
    for fine in [one(""), open.replace("api.example", "localhost")] {
        assert!(
            !yaml(&fine, &[])
                .unwrap()
                .warnings
                .join("\n")
                .contains("unencrypted")
        );
    }
}

#[test]
fn names_are_looked_up_on_the_terms_that_are_written() {
    let config = yaml(&one(""), &[]).unwrap();
    assert_eq!(config.server.dns, DnsConfig::default());
    let text = format!(
        "server: {{dns: {{ttl: 5s, negative_ttl: 0, max_stale: 1m}}, max_answer: 1MiB, max_event: 16MiB}}\n{}",
        one("")
    );
    let config = yaml(&text, &[]).unwrap();
    assert_eq!(
        (config.server.dns.ttl, config.server.dns.max_stale),
        (5 * S, 60 * S)
    );
    assert_eq!(config.server.max_answer, 1 << 20);
    assert_eq!(config.server.max_event, 16 << 20);
    let wrong = text.replace("ttl: 5s", "tll: 5s");
    has(
        &mistakes(&wrong, &[]),
        &["server.dns.tll: unknown key; did you mean `ttl`?"],
    );
}

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAQwAgUA\n-----END CERTIFICATE-----\n";

#[test]
fn certificate_authorities_are_read_and_their_mistakes_listed() {
    let load_with = |content: Option<&str>| {
        let dir = ConfigDir::new().with("pointsman.yaml", &one(", ca_file: ca.pem"));
        if let Some(content) = content {
            fs::write(dir.0.join("ca.pem"), content).unwrap();
        }
        load(&request(&dir.0, &[]))
    };
    let two = load_with(Some(&format!("# ours\n{CERTIFICATE}{CERTIFICATE}"))).unwrap();
    assert_eq!(two.providers[0].authorities.len(), 2);
    assert!(
        two.files.iter().any(|file| file.ends_with("ca.pem")),
        "watched"
    );
    for (content, why) in [
        (None, "can't be read"),
        (Some(""), "holds no certificate"),
        (
            Some("-----BEGIN PRIVATE KEY-----\nMAQwAgUA\n-----END PRIVATE KEY-----\n"),
            "holds no certificate",
        ),
        (
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "certificate 1 can't be read",
        ),
        (
            Some("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"),
            "certificate 1 can't be read",
        ),
    ] {
        let text = load_with(content).unwrap_err().to_string();
        has(&text, &["llm.providers[0].ca_file: ca.pem", why]);
    }
}

#[test]
fn a_variable_may_name_a_file_of_keys() {
    let dir = ConfigDir::new().with("groq", "# comment\n\nk1\r\n  k2  \n");
    let config = load(&request(&dir.0, &[("GROQ_API_KEY_FILE", "groq")])).unwrap();
    assert_eq!(keys(provider(&config, "groq")), ["k1", "k2"]);
    assert!(
        config.files.iter().any(|file| file.ends_with("groq")),
        "watched"
    );
    let both = [("GROQ_API_KEY_FILE", "groq"), ("GROQ_API_KEY", "own")];
    let config = load(&request(&dir.0, &both)).unwrap();
    assert_eq!(keys(provider(&config, "groq")), ["own"]);
    has(
        &config.warnings.join("\n"),
        &["GROQ_API_KEY_FILE is not used: GROQ_API_KEY is set"],
    );
    let gone = load(&request(&dir.0, &[("GROQ_API_KEYS_FILE", "gone")])).unwrap_err();
    has(
        &gone.to_string(),
        &["environment GROQ_API_KEYS_FILE", "gone can't be read"],
    );
}

#[test]
fn a_directory_is_a_file_for_each_key() {
    let dir = ConfigDir::new().with(
        "pointsman.yaml",
        &one("").replace("api_key: k", "api_key_dir: keys"),
    );
    let keys_dir = dir.0.join("keys");
    // As Kubernetes mounts a secret: links to what is in a hidden directory.
    fs::create_dir_all(keys_dir.join("..2026")).unwrap();
    symlink("..2026", keys_dir.join("..data")).unwrap();
    for (name, text) in [("b", "kb"), ("a", "ka\n"), (".hidden", "no")] {
        fs::write(keys_dir.join("..2026").join(name), text).unwrap();
        symlink(format!("..data/{name}"), keys_dir.join(name)).unwrap();
    }
    fs::create_dir(keys_dir.join("more")).unwrap();
    let config = load(&request(&dir.0, &[])).unwrap();
    assert_eq!(keys(&config.providers[0]), ["ka", "kb"]);
    has(&config.providers[0].keys[0].source, &["keys/a line 1"]);
    for name in ["a", "b"] {
        fs::remove_file(keys_dir.join(name)).unwrap();
    }
    let text = load(&request(&dir.0, &[])).unwrap_err().to_string();
    has(&text, &["api_key_files: keys holds no key"]);
}

#[test]
fn a_file_that_is_no_file_of_keys_is_refused() {
    let dir = ConfigDir::new().with(
        "pointsman.yaml",
        &one("").replace("api_key: k", "api_key_file: big"),
    );
    fs::write(dir.0.join("big"), vec![b'x'; 2 << 20]).unwrap();
    has(
        &load(&request(&dir.0, &[])).unwrap_err().to_string(),
        &["larger than"],
    );
    fs::write(dir.0.join("big"), [0xff, 0xfe, b'x']).unwrap();
    has(
        &load(&request(&dir.0, &[])).unwrap_err().to_string(),
        &["can't be read"],
    );
}

#[test]
fn header_values_cannot_bring_headers_of_their_own() {
    for value in ["x\\r\\nInjected: 1", "x\\nInjected: 1", "a\\0b"] {
        let text = mistakes(&one(&format!(", headers: {{X-A: \"{value}\"}}")), &[]);
        has(
            &text,
            &[
                "llm.providers[0].headers.X-A",
                "characters that a header can't carry",
            ],
        );
    }
    let text = mistakes(
        &one(", headers: {X-A: \"${BAD}\"}"),
        &[("BAD", "x\r\nInjected: hunter2")],
    );
    has(&text, &["headers.X-A"]);
    assert!(!text.contains("hunter2"));
    let text = mistakes(&one(", headers: {\"X A\": x}"), &[]);
    has(&text, &["is not a legal header name"]);
}
