//! What is understood of listeners: limits, HTTP/2, TLS, sockets; and what is said of mistakes.

use std::time::Duration;

use super::*;
use crate::domain::connection::{ConnectionPolicy, Http2Policy};

const ECHO: &str = "llm: {providers: [{name: echo}]}";

fn server(text: &str) -> ServerConfig {
    let config = yaml(&format!("server: {text}\n{ECHO}"), &[]);
    config.unwrap_or_else(|error| panic!("{error}")).server
}

fn wrong(text: &str) -> String {
    mistakes(&format!("server: {text}\n{ECHO}"), &[])
}

/// Two files that exist, by the directory they are in.
fn pair(dir: &ConfigDir) -> String {
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        std::fs::write(dir.0.join(name), "not looked into here").unwrap();
    }
    format!("cert: {0}/cert.pem, key: {0}/key.pem", dir.0.display())
}

#[test]
fn limits_are_read_as_written() {
    let read = server(
        "{max_connections: 5, max_head: 16KiB, reuse_port: true, \
         timeouts: {head: 1s, body: 2s, idle: 3s, write: 4s}, \
         http2: {max_streams: 6, ping_interval: 0, ping_timeout: 7s, max_resets: 8}}",
    );
    let second = Duration::from_secs(1);
    let expected = ConnectionPolicy {
        max_connections: 5,
        max_head: 16 * 1024,
        head: second,
        body: 2 * second,
        idle: 3 * second,
        write: 4 * second,
        http2: Some(Http2Policy {
            max_streams: 6,
            ping_interval: Duration::ZERO,
            ping_timeout: 7 * second,
            max_resets: 8,
        }),
    };
    assert_eq!(read.listeners.connections, expected);
    assert!(read.listeners.reuse_port);
    assert_eq!(server("{http2: off}").listeners.connections.http2, None);
    assert_eq!(server("{http2: on}").listeners, Listeners::default());
}

#[test]
fn a_mode_is_octal_however_it_is_typed() {
    for typed in ["0660", "'0660'", "660", "'0o660'"] {
        let read = server(&format!(
            "{{unix: {{mode: {typed}, owner: 7, group: www}}}}"
        ));
        let UnixFileMode { mode, owner, group } = read.listeners.unix;
        assert_eq!(mode, 0o660, "{typed}");
        assert_eq!(
            (owner.as_deref(), group.as_deref()),
            (Some("7"), Some("www"))
        );
    }
    for typed in ["888", "rw-rw----", "0o660", "'1777'", "-1", "''"] {
        let text = wrong(&format!("{{unix: {{mode: {typed}}}}}"));
        has(&text, &["1 mistake:", "server.unix.mode", "octal"]);
    }
}

#[test]
fn encryption_is_for_tcp_and_may_leave_this_machine_out() {
    let dir = ConfigDir::new();
    let files = pair(&dir);
    let at = |server: &ServerConfig, text: &str| {
        let listen = Listen::parse(text).unwrap();
        server.listeners.tls_at(&listen).is_some()
    };
    let all = server(&format!("{{tls: {{{files}}}}}"));
    assert!(at(&all, "127.0.0.1:1") && at(&all, "10.0.0.1:1") && !at(&all, "unix:/x"));
    let far = server(&format!("{{tls: {{{files}, loopback: off}}}}"));
    assert!(!at(&far, "127.0.0.1:1") && at(&far, "10.0.0.1:1"));
    assert!(!at(&server("{}"), "127.0.0.1:1"));
}

#[test]
fn callers_who_show_a_certificate_have_identified() {
    let dir = ConfigDir::new();
    let files = pair(&dir);
    let with = |more: &str| {
        let ca = dir.0.join("ca.pem");
        format!(
            "{{listen: '0.0.0.0:1', tls: {{{files}, client_ca: {}{more}}}}}",
            ca.display()
        )
    };
    let tls = server(&with("")).listeners.tls.unwrap();
    assert!(tls.require_client_cert);
    has(
        &wrong(&with(", require_client_cert: false")),
        &["insecure_open"],
    );
    has(
        &wrong(&format!("{{listen: '0.0.0.0:1', tls: {{{files}}}}}")),
        &["insecure_open"],
    );
}

#[test]
fn certificates_are_watched() {
    let dir = ConfigDir::new();
    let text = format!("server: {{tls: {{{}}}}}\n{ECHO}", pair(&dir));
    let files = yaml(&text, &[]).unwrap().files;
    for name in ["cert.pem", "key.pem"] {
        assert!(files.contains(&dir.0.join(name)), "{files:?}");
    }
}

#[test]
fn mistakes_are_named() {
    let dir = ConfigDir::new();
    let files = pair(&dir);
    for (text, parts) in [
        ("{max_conections: 5}", &["max_connections"][..]),
        ("{max_head: 10}", &["server.max_head", "1KiB"]),
        ("{max_head: 2MiB}", &["server.max_head", "1MiB"]),
        (
            "{timeouts: {header: 1s}}",
            &["server.timeouts.header", "head"],
        ),
        (
            "{timeouts: {idle: 0}}",
            &["server.timeouts.idle", "above zero"],
        ),
        (
            "{http2: {max_streams: 0}}",
            &["server.http2.max_streams", "1 or more"],
        ),
        ("{http2: sometimes}", &["server.http2", "true or false"]),
        ("{unix: {mod: 1}}", &["server.unix.mod", "mode"]),
        (
            "{tls: {cert: /nowhere/c, key: /nowhere/k}}",
            &["2 mistakes:", "server.tls.cert", "/nowhere/k"],
        ),
        ("{tls: {}}", &["server.tls", "needs both"]),
        (
            "{tls: {certificate: x}}",
            &["server.tls.certificate", "cert"],
        ),
    ] {
        has(&wrong(text), parts);
    }
    let text = wrong(&format!("{{tls: {{{files}, require_client_cert: true}}}}"));
    has(
        &text,
        &["1 mistake:", "server.tls.require_client_cert", "client_ca"],
    );
}

#[test]
fn a_url_in_place_of_an_address_is_told_what_to_write() {
    for (typed, instead) in [
        ("http://127.0.0.1:8080", "write 127.0.0.1:8080"),
        ("https://host/path", "write host:8080"),
        ("http://[::1]:1/", "write [::1]:1"),
    ] {
        let (message, suggestion) = Listen::parse(typed).unwrap_err();
        assert!(message.contains("has no scheme"), "{message}");
        assert_eq!(suggestion, instead);
    }
    let v6 = Listen::parse("::1:8080").unwrap_err();
    assert!(v6.1.contains("brackets"), "{v6:?}");
}
