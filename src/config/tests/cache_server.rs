//! `cache.url` and what belongs to it.

use super::*;

const PROVIDERS: &str = "llm: {providers: [{name: echo}]}";

fn typed(cache: &str) -> String {
    format!("cache: {{{cache}}}\n{PROVIDERS}")
}

#[test]
fn a_url_is_enough_and_says_where_and_who() {
    let config = yaml(&typed("url: \"rediss://app:hunter2@cache.example/2\""), &[]).unwrap();
    let server = config.cache_server.clone().unwrap();
    assert_eq!(server.server.to_string(), "rediss://cache.example:6379/2");
    assert_eq!((server.prefix.as_str(), &server.key), ("pointsman", &None));
    assert!(config.cache.keeps() && config.cache.server.is_some());
    assert!(!format!("{config:?}").contains("hunter2"));
    let other = yaml(&typed("url: \"rediss://app:hunter3@cache.example/2\""), &[]).unwrap();
    assert_ne!(config.cache.server, other.cache.server);
    let same = yaml(
        &typed("store: valkey, url: \"valkeys://app:hunter2@cache.example:6379/2\""),
        &[],
    );
    assert_eq!(config.cache.server, same.unwrap().cache.server);
    assert_eq!(yaml(&typed("ttl: 1m"), &[]).unwrap().cache_server, None);
}

#[test]
fn a_key_is_read_from_its_file() {
    let dir = ConfigDir::new().with("key", &"ab".repeat(32));
    let file = dir.0.join("key").display().to_string();
    let text = format!("url: \"redis://127.0.0.1\", encrypt_key_file: {file}");
    let config = yaml(&typed(&text), &[]).unwrap();
    let key = config.cache_server.unwrap().key.unwrap();
    assert_eq!(key.expose(), &[0xab; 32]);
    assert!(config.files.iter().any(|path| path.ends_with("key")));
}

#[test]
fn mistakes_say_what_to_write() {
    let dir = ConfigDir::new().with("short", "c2hvcnQ=");
    let short = dir.0.join("short").display().to_string();
    let short = format!("url: \"redis://h\", encrypt_key_file: {short}");
    for (cache, expected) in [
        (
            "url: \"http://hunter2\"",
            "cache.url: begins with a scheme that is not spoken here; write redis://host:6379",
        ),
        (
            "store: valkey",
            "cache: store: valkey needs a server; write url: redis://host:6379",
        ),
        (
            "store: memory, url: \"redis://h\"",
            "cache.url: is for answers that are kept in a server; write store: valkey",
        ),
        (
            "prefix: x",
            "cache.prefix: is for answers that are kept in a server",
        ),
        (
            "url: \"redis://h\", prefix: \"a*\"",
            "cache.prefix: is no beginning of names; write 1 to 64 letters",
        ),
        (
            short.as_str(),
            "is a text of another length than that of 32 bytes; make one with: openssl rand -base64 32",
        ),
        (
            "url: \"redis://h\", encrypt_key_file: nowhere",
            "can't be read: entity not found; make one with",
        ),
    ] {
        let problems = mistakes(&typed(cache), &[]);
        assert!(problems.contains(expected), "{cache}: {problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn a_password_in_the_clear_is_warned_of() {
    let warned = |url: &str| {
        let config = yaml(&typed(&format!("url: \"{url}\"")), &[]).unwrap();
        config.warnings.concat().contains("cache.url")
    };
    assert!(warned("redis://:word@cache.example"));
    for url in [
        "redis://cache.example",
        "rediss://:word@cache.example",
        "redis://:word@127.0.0.1",
        "unix:/run/v.sock?pass=word",
    ] {
        assert!(!warned(url), "{url}");
    }
}
