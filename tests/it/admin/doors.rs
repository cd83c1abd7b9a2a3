//! Who gets in: tokens, hosts, origins, addresses.

use reqwest::Method;
use serde_json::json;

use super::TWO_KEYS;
use super::side::Side;
use crate::support::gateway::{Place, command, filled, run};
use crate::support::temp::TempDir;
use crate::support::wait::bounded;
use crate::support::{Gateway, ScriptedUpstream};

const DEMO: &str = "llm: {providers: [{name: echo}]}";

#[tokio::test]
async fn with_a_token_nothing_but_health_goes_without_it() {
    let yaml =
        format!("server: {{admin_token: [first-token-of-two, sk-planted-second-one]}}\n{DEMO}");
    let side = Side::start(&yaml, &[]).await;
    for path in [
        "/admin/v1/state",
        "/admin/v1/events",
        "/admin/v1/openapi.json",
        "/nothing",
    ] {
        let answer = side.get(path).send().await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "invalid_admin_token"),
            "{path}"
        );
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let wrong = side
            .get(path)
            .header("authorization", "Bearer first-token-of-tw0");
        assert_eq!(wrong.send().await.status, 401);
    }
    let change = side.post("/admin/v1/drain", "").send().await;
    assert_eq!(change.status, 401);
    for path in ["/", "/health/live", "/health/ready"] {
        assert_eq!(side.get(path).send().await.status, 200, "{path}");
    }
    for token in ["first-token-of-two", "sk-planted-second-one"] {
        let right = side
            .get("/admin/v1/state")
            .header("authorization", &format!("Bearer {token}"));
        assert_eq!(right.send().await.status, 200);
    }
    // The data listener knows nothing of it.
    assert_eq!(side.gateway.chat("echo:x").send().await.status, 200);
}

#[tokio::test]
async fn a_token_changes_with_a_reload() {
    let with = |token: &str| format!("server: {{admin_token: {token}}}\n{DEMO}");
    let side = Side::start(&with("the-old-token-of-all"), &[]).await;
    let state = |token: &str| {
        let call = side.get("/admin/v1/state");
        call.header("authorization", &format!("Bearer {token}"))
    };
    side.write(&with("the-new-token-of-all"), &[]);
    side.gateway.signal("HUP");
    side.gateway.logged("configuration reloaded").await;
    assert_eq!(state("the-old-token-of-all").send().await.status, 401);
    assert_eq!(state("the-new-token-of-all").send().await.status, 200);
}

#[tokio::test]
async fn a_page_with_a_name_of_its_own_reads_nothing() {
    let side = Side::start(DEMO, &[]).await;
    let port = side.address.port();
    for (host, status) in [
        (format!("127.0.0.1:{port}"), "200"),
        ("localhost".to_owned(), "200"),
        (format!("LOCALHOST:{port}"), "200"),
        (format!("[::1]:{port}"), "200"),
        ("evil.example".to_owned(), "403"),
        (format!("evil.example:{port}"), "403"),
        (format!("localhost.evil.example:{port}"), "403"),
        ("127.0.0.1.evil.example".to_owned(), "403"),
        ("127.0.0.1\r\nhost: evil.example".to_owned(), "400"),
        (String::new(), "403"),
    ] {
        let head = format!("GET /admin/v1/state HTTP/1.1\r\nhost: {host}");
        assert_eq!(side.raw(&head).await, status, "{host}");
    }
    assert_eq!(
        side.raw("GET /admin/v1/state HTTP/1.0\r\nx: y").await,
        "403"
    );
    let absolute = "GET http://evil.example/admin/v1/state HTTP/1.1\r\nhost: 127.0.0.1";
    assert_eq!(side.raw(absolute).await, "403");
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let side = Side::start(DEMO, &[]).await;
    let path = "/admin/v1/keys/echo%231/hold";
    let own = format!("http://{}", side.address);
    for (name, value, status) in [
        ("origin", "http://evil.example", 403),
        ("origin", "http://127.0.0.1:1", 403),
        ("origin", "null", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("origin", own.as_str(), 200),
    ] {
        let answer = side.post(path, "").header(name, value).send().await;
        assert_eq!(answer.status, status, "{name}: {value}");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn what_a_form_can_send_changes_nothing() {
    let side = Side::start(DEMO, &[]).await;
    let document = side.get("/admin/v1/openapi.json").send().await.json();
    let mut changes = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{id}", "echo%231")
            .replace("{provider}", "echo");
        let path = path.replace("{number}", "1");
        for method in ["post", "put", "delete"]
            .into_iter()
            .filter(|it| !methods[it].is_null())
        {
            changes += 1;
            let method: Method = method.to_uppercase().parse().unwrap();
            for kind in [
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data",
                "",
            ] {
                let call = side.call(method.clone(), &path, Some(b"{}".to_vec()));
                let call = match kind {
                    "" => call,
                    kind => call.header("content-type", kind),
                };
                let answer = call.send().await;
                assert_eq!(
                    (answer.status, answer.code().as_str()),
                    (415, "content_type"),
                    "{path} {kind}"
                );
            }
        }
    }
    assert_eq!(changes, 17);
    let meant = side.call(Method::POST, "/admin/v1/keys/echo%231/release", None);
    assert_eq!(
        meant.header("x-pointsman-admin", "1").send().await.status,
        200
    );
    assert_eq!(side.state("/process/draining").await, json!(false));
}

#[tokio::test]
async fn it_is_off_when_told_so() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(TWO_KEYS, &[("a", &a), ("b", &a)]).await;
    assert!(!gateway.logs().iter().any(|line| line.contains("\"admin\"")));
    // And its routes are not on the other listener.
    assert_eq!(gateway.get("/admin/v1/state").send().await.status, 404);
}

#[tokio::test]
async fn an_address_for_everybody_needs_a_token() {
    let dir = TempDir::new();
    dir.write("gateway.yaml", DEMO);
    let arguments = [
        "serve",
        "--config",
        "gateway.yaml",
        "--listen",
        "127.0.0.1:0",
    ];
    let arguments = [&arguments[..], &["--admin-listen", "0.0.0.0:0"]].concat();
    let output = run(dir.path(), &arguments, &[]).await;
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.contains("server.admin_token"), "{text}");
    let yaml = format!("server: {{admin_token: a-token-that-is-long}}\n{DEMO}");
    let side = Side::start_with(&yaml, &[], &["--admin-listen", "0.0.0.0:0"]).await;
    let port = side.address.port();
    // Whoever knows the token may call it by any name.
    let head = format!(
        "GET /admin/v1/state HTTP/1.1\r\nhost: pointsman.example:{port}\r\nauthorization: Bearer a-token-that-is-long"
    );
    assert_eq!(side.raw(&head).await, "200");
}

#[tokio::test]
async fn an_address_that_somebody_named_must_be_free() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = TempDir::new();
    let arguments = [
        "serve",
        "--demo",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        &address,
    ];
    let output = run(dir.path(), &arguments, &[]).await;
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(text.contains(&address), "{text}");
}

#[tokio::test]
async fn behind_another_process_it_waits_for_its_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir = TempDir::new();
    let yaml = format!("server: {{reuse_port: true}}\n{DEMO}");
    dir.write("gateway.yaml", &filled(&yaml, &[]));
    let named = address.to_string();
    let arguments = [
        "serve",
        "--config",
        "gateway.yaml",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        &named,
    ];
    let command = command(dir.path(), &arguments, &[]);
    let gateway = Gateway::start_as(dir, command).await;
    gateway.logged("is taken by another process").await;
    assert_eq!(gateway.chat("echo:x").send().await.status, 200);
    drop(taken);
    gateway.logged("\"listener\":\"admin\"").await;
    let live = gateway.call_at(address, Method::GET, "/health/live", None);
    assert_eq!(live.send().await.status, 200);
}

#[tokio::test]
async fn a_unix_socket_and_a_socket_that_is_passed_in() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dir = TempDir::new();
    let path = dir.path().join("admin.sock");
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    dir.write("gateway.yaml", &filled(DEMO, &[]));
    let unix = format!("unix:{}", path.display());
    let arguments = [
        "serve",
        "--config",
        "gateway.yaml",
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        &unix,
    ];
    let plain = command(dir.path(), &arguments, &[]);
    let gateway = Gateway::start_as(dir, plain).await;
    gateway.logged("admin.sock").await;
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let head = "GET /admin/v1/state HTTP/1.1\r\nhost: whatever\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    bounded("the answer", stream.read_to_string(&mut text))
        .await
        .unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    drop(gateway);

    let dir = TempDir::new();
    dir.write("gateway.yaml", &filled(DEMO, &[]));
    let env = [("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "admin")];
    let mut passed = command(dir.path(), &arguments[..5], &env);
    use command_fds::{CommandFdExt, FdMapping};
    let mapping = FdMapping {
        parent_fd: socket.into(),
        child_fd: 3,
    };
    passed.fd_mappings(vec![mapping]).unwrap();
    let gateway = Gateway::start_as(dir, passed).await;
    let line = gateway.logged("\"listener\":\"admin\"").await;
    assert!(line.contains(&address.to_string()), "{line}");
    let live = gateway.call_at(address, Method::GET, "/admin/v1/state", None);
    assert_eq!(live.send().await.status, 200);
}

#[tokio::test]
async fn addresses_without_a_token_do_not_lose_the_old_one_in_a_reload() {
    let text = |server: &str| format!("server: {{{server}}}\n{DEMO}");
    let yaml = text("admin_listen: '0.0.0.0:0', admin_token: a-token-that-is-long");
    let none: &[(&str, &dyn Place)] = &[];
    let side = Side::start_with(&yaml, none, &[]).await;
    // Valid by itself: but the process still listens where everybody can reach it.
    side.write(&text("admin_listen: '127.0.0.1:0'"), none);
    side.gateway.signal("HUP");
    side.gateway.logged("server.admin_listen has changed").await;
    side.gateway.logged("configuration reloaded").await;
    assert_eq!(side.get("/admin/v1/state").send().await.status, 401);
}
