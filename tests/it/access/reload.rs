//! Clients when the configuration changes under them.

use super::{By, CI, WEB};
use crate::support::gateway::{command, filled};
use crate::support::temp::TempDir;
use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, until};

fn with(clients: &str) -> String {
    format!(
        "
clients: [{clients}]
llm:
  providers:
    - {{name: a, base_url: <a>, model: m, api_key: k1}}
"
    )
}

async fn reloaded(gateway: &Gateway, times: usize) {
    until("the reload", async || {
        let told = |line: &&String| line.contains("configuration reloaded");
        gateway.logs().iter().filter(told).count() == times
    })
    .await;
}

#[tokio::test]
async fn a_client_that_stays_keeps_its_counts_whatever_its_token() {
    let a = ScriptedUpstream::start().await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [
            Behaviour::says("held").gate(At::BeforeHead, &gate),
            Behaviour::says("ok"),
        ],
    );
    let dir = TempDir::new();
    let write = |path: &std::path::Path, clients: &str| {
        std::fs::write(path, filled(&with(clients), &[("a", &a)])).unwrap();
    };
    let path = dir.path().join("gateway.yaml");
    write(
        &path,
        &format!("{{name: ci, token: {CI}, rpm: 3, max_in_flight: 1}}"),
    );
    let gateway = Gateway::start_in(dir, &["--config", "gateway.yaml"], &[]).await;
    let holder = gateway.chat("a").by(CI).spawn();
    a.wait_for(1).await;
    write(
        &path,
        &format!(
            "{{name: ci, token: {WEB}, rpm: 2, max_in_flight: 1}}, {{name: new, token: {CI}, rpm: 1}}"
        ),
    );
    gateway.signal("HUP");
    reloaded(&gateway, 1).await;
    // The token is another client's now.
    assert_eq!(gateway.chat("a").by(CI).send().await.status, 200);
    gateway
        .chat("a")
        .by(CI)
        .send()
        .await
        .assert_error(429, "client_rate_limited");
    gateway
        .chat("a")
        .by(WEB)
        .send()
        .await
        .assert_error(429, "client_overloaded");
    gate.open();
    assert_eq!(holder.await.unwrap().status, 200);
    until("its end", async || gateway.health("/in_flight").await == 0).await;
    assert_eq!(gateway.chat("a").by(WEB).send().await.status, 200);
    let answer = gateway.chat("a").by(WEB).send().await;
    answer.assert_error(429, "client_rate_limited");
    assert!(
        answer.text().contains("2 requests a minute"),
        "{}",
        answer.text()
    );
    // Without clients everybody is let in again.
    write(&path, "");
    gateway.signal("HUP");
    reloaded(&gateway, 2).await;
    assert_eq!(gateway.chat("a").send().await.status, 200);
}

#[tokio::test]
async fn a_file_of_tokens_that_changes_is_noticed() {
    let a = ScriptedUpstream::start().await;
    let dir = TempDir::new();
    dir.write("tokens", "token-of-monday-0123456789\n");
    let yaml = with("{name: ci, token_file: tokens, rpm: 4}");
    dir.write("gateway.yaml", &filled(&yaml, &[("a", &a)]));
    let tokens = dir.path().join("tokens");
    let gateway = Gateway::start_in(dir, &["--config", "gateway.yaml"], &[]).await;
    let status = async |day: &str| {
        let token = format!("token-of-{day}-0123456789");
        gateway.chat("a").by(&token).send().await.status
    };
    assert_eq!(
        (status("monday").await, status("tuesday").await),
        (200, 401)
    );
    std::fs::write(
        &tokens,
        "token-of-tuesday-0123456789\ntoken-of-monday-0123456789\n",
    )
    .unwrap();
    reloaded(&gateway, 1).await;
    assert_eq!(
        (status("monday").await, status("tuesday").await),
        (200, 200)
    );
    std::fs::write(&tokens, "token-of-tuesday-0123456789\n").unwrap();
    reloaded(&gateway, 2).await;
    assert_eq!(
        (status("monday").await, status("tuesday").await),
        (401, 200)
    );
    assert_eq!(status("tuesday").await, 429, "one client, one allowance");
    // A file that is gone changes nothing.
    std::fs::remove_file(&tokens).unwrap();
    let line = gateway.logged("not reloaded").await;
    assert!(line.contains("tokens can't be read"), "{line}");
    assert_eq!(status("monday").await, 401);
}

#[tokio::test]
async fn an_address_that_stays_as_it_is_is_not_opened_to_everybody() {
    let a = ScriptedUpstream::start().await;
    let dir = TempDir::new();
    let path = dir.path().join("gateway.yaml");
    let write = |server: &str, clients: &str| {
        let text = format!("server: {{{server}}}\n{}", with(clients));
        std::fs::write(&path, filled(&text, &[("a", &a)])).unwrap();
    };
    let public = "listen: '0.0.0.0:0', admin_listen: off";
    let local = "listen: '127.0.0.1:0', admin_listen: off";
    write(public, &format!("{{name: ci, token: {CI}}}"));
    let arguments = ["serve", "--config", "gateway.yaml"];
    let command = command(dir.path(), &arguments, &[]);
    let gateway = Gateway::start_as(dir, command).await;
    assert_eq!(gateway.chat("a").send().await.status, 401);
    // As if it were safe to let everybody in there.
    write(local, "");
    gateway.signal("HUP");
    let refused = gateway.logged("configuration not reloaded").await;
    assert!(
        refused.contains("0.0.0.0:") && refused.contains("insecure_open"),
        "{refused}"
    );
    assert_eq!(gateway.chat("a").send().await.status, 401);
    assert_eq!(gateway.chat("a").by(CI).send().await.status, 200);
    // Whoever asks for it gets it.
    write(&format!("{local}, insecure_open: true"), "");
    gateway.signal("HUP");
    reloaded(&gateway, 1).await;
    assert_eq!(gateway.chat("a").send().await.status, 200);
}
