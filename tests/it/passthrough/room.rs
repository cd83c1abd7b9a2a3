//! The room that bodies take on the disk, all together.

use reqwest::Method;

use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream};

const SETUP: &str = "
server: {spool: 1KiB, max_upload: 600KiB, max_spooled: 1MiB}
llm: {providers: [{name: a, base_url: <a>, model: m, passthrough: true, api_key: sk-one-0123456789}]}
";

#[tokio::test]
async fn what_is_on_the_disk_is_bounded_in_total_and_given_back() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(SETUP, &[("a", &a)]).await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [
            Behaviour::json(200, "{}").gate(At::BeforeHead, &gate),
            Behaviour::json(200, "{}"),
        ],
    );
    let body = || vec![b'x'; 600 * 1024];
    let first = gateway.post("/passthrough/a/files", body()).spawn();
    a.wait_for(1).await;
    let refused = gateway.post("/passthrough/a/files", body()).send().await;
    refused.assert_error(503, "overloaded");
    assert!(
        refused.text().contains("server.max_spooled"),
        "{}",
        refused.text()
    );
    assert!(refused.retry_after_ms() > 0);
    let form = [
        &b"--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\na\r\n--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n"[..],
        &vec![b'x'; 500 * 1024],
        b"\r\n--XX--\r\n",
    ];
    let path = "/v1/audio/transcriptions";
    let upload = gateway
        .call_at(gateway.address(), Method::POST, path, Some(form.concat()))
        .header("content-type", "multipart/form-data; boundary=XX");
    upload.send().await.assert_error(503, "overloaded");
    gate.open();
    assert_eq!(first.await.unwrap().status, 200);
    let next = gateway.post("/passthrough/a/files", body()).send().await;
    assert_eq!(next.status, 200, "{}", next.text());
}
