//! Where the admin listener is, and its token.

use super::*;
use crate::wire::token::TokenDigest;

fn server(server: &str) -> String {
    format!("server: {{{server}}}\nllm: {{providers: [{{name: echo}}]}}")
}

fn listens(text: &str) -> (Vec<String>, bool) {
    let admin = yaml(&server(text), &[]).unwrap().server.admin;
    let listen = admin.listen.iter().map(ToString::to_string).collect();
    (listen, admin.named)
}

#[test]
fn it_is_on_loopback_unless_told_otherwise() {
    assert_eq!(listens(""), (vec!["127.0.0.1:8081".to_owned()], false));
    for off in ["off", "false", "'off'", "[off]", "'OFF'"] {
        let (listen, named) = listens(&format!("admin_listen: {off}"));
        assert!(listen.is_empty() && named, "{off}");
    }
    let (listen, named) = listens("admin_listen: ['127.0.0.1:1', 'unix:/tmp/a']");
    assert_eq!(listen, ["127.0.0.1:1", "unix:/tmp/a"]);
    assert!(named);
}

#[test]
fn the_environment_and_the_command_line_come_first() {
    let text = server("admin_listen: off");
    let variable = [("POINTSMAN__SERVER__ADMIN_LISTEN", "127.0.0.1:5")];
    let config = yaml(&text, &variable).unwrap();
    assert_eq!(config.server.admin.listen[0].to_string(), "127.0.0.1:5");
}

#[test]
fn mistakes_are_told() {
    for (text, mistake) in [
        (
            "admin_listen: '8081'",
            "server.admin_listen: `8081` has no host",
        ),
        ("admin_listen: true", "server.admin_listen: is no address"),
        (
            "admin_listen: '0.0.0.0:8081'",
            "server.admin_listen: 0.0.0.0:8081 can be reached from outside",
        ),
        (
            "admin_token_sha256: abc",
            "server.admin_token_sha256: is not 64 hexadecimal digits",
        ),
        (
            "admin_token: aaaaaaaaaaaaaaaa, admin_token_file: x",
            "server: only one of admin_token, admin_token_file and admin_token_sha256",
        ),
        ("admin_token: []", "server.admin_token"),
        ("admin_tokn: x", "did you mean `admin_token`"),
    ] {
        has(&mistakes(&server(text), &[]), &[mistake]);
    }
}

#[test]
fn a_token_opens_it_and_only_its_hash_is_kept() {
    let text = server("admin_listen: '0.0.0.0:8081', admin_token: '${ADMIN}'");
    let config = yaml(&text, &[("ADMIN", "a-long-enough-token")]).unwrap();
    assert_eq!(
        config.server.admin.tokens,
        [TokenDigest::of(b"a-long-enough-token")]
    );
    assert!(!format!("{config:?}").contains("long-enough"));
    let open = yaml(
        &server("admin_listen: '0.0.0.0:8081', insecure_open: true"),
        &[],
    )
    .unwrap();
    assert!(open.warnings.iter().any(|it| it.contains("0.0.0.0:8081")));
}
