//! The live page and the history behind its charts: who gets them, and what they say.

use serde_json::{Value, json};

use super::TWO_KEYS;
use super::side::Side;
use crate::support::{Behaviour, ScriptedUpstream, until};

const GUARDED: &str = "
server: {admin_token: a-token-for-the-page}
llm: {providers: [{name: echo}]}
";

#[tokio::test]
async fn a_browser_gets_the_page_and_a_program_where_to_look() {
    let side = Side::start("llm: {providers: [{name: echo}]}", &[]).await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let page = side.get("/").header("accept", browser).send().await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("vary"), "accept");
    assert!(page.text().starts_with("<!doctype html>"));
    for accept in ["*/*", "application/json"] {
        let pointer = side.get("/").header("accept", accept).send().await;
        assert_eq!(pointer.json()["page"], "/page/index.html", "{accept}");
    }
    let linked = side.get("/page/index.html").send().await;
    assert_eq!(linked.text(), page.text());
}

#[tokio::test]
async fn the_page_needs_no_token_and_tells_nothing_without_one() {
    let side = Side::start(GUARDED, &[]).await;
    let page = side.get("/").header("accept", "text/html").send().await;
    let html = page.text();
    // Every file that it is made of, by following what each names.
    let mut files = vec!["/page/index.html".to_owned()];
    let mut at = 0;
    while let Some(path) = files.get(at).cloned() {
        at += 1;
        let answer = side.get(&path).send().await;
        assert_eq!(answer.status, 200, "{path}");
        let kind = match path.rsplit_once('.').unwrap().1 {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        };
        assert_eq!(answer.header("content-type"), kind, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = answer.text();
        let named = text.split(['"', '\'']).filter_map(|word| {
            let name = word.strip_prefix("/page/").or(word.strip_prefix("./"))?;
            Some(format!("/page/{name}"))
        });
        for path in named {
            if !files.contains(&path) {
                files.push(path);
            }
        }
    }
    assert_eq!(files.len(), 18, "{files:?}");
    // Nothing inline, which the policy would refuse.
    for forbidden in ["<style", " style=", " onclick=", "javascript:", "<script>"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    for path in ["/admin/v1/state", "/admin/v1/history", "/page", "/pages/x"] {
        assert_eq!(side.get(path).send().await.status, 401, "{path}");
    }
    for path in ["/page/", "/page/x.js", "/page/%2e%2e%2fadmin%2fv1%2fstate"] {
        assert_eq!(side.get(path).send().await.status, 404, "{path}");
    }
    let head = "GET /page/../admin/v1/state HTTP/1.1\r\nhost: 127.0.0.1";
    assert_eq!(side.raw(head).await, "404");
}

#[tokio::test]
async fn a_name_that_leads_here_gets_no_page_either() {
    let side = Side::start("llm: {providers: [{name: echo}]}", &[]).await;
    for path in ["/", "/page/index.html"] {
        let head = format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\naccept: text/html");
        assert_eq!(side.raw(&head).await, "403", "{path}");
    }
}

async fn history(side: &Side) -> Value {
    side.get("/admin/v1/history").send().await.json()
}

fn sum(history: &Value, field: &str) -> u64 {
    let points = history["points"].as_array().unwrap().iter();
    points.map(|point| point[field].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn the_history_tells_what_ended_and_where_it_went() {
    let a = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let b = ScriptedUpstream::start().await;
    let side = Side::start(TWO_KEYS, &[("a", &a), ("b", &b)]).await;
    let empty = history(&side).await;
    assert_eq!(empty["step_seconds"], 5);
    let young = empty["points"].as_array().unwrap();
    assert!(!young.is_empty() && young.len() < 180, "{}", young.len());
    assert_eq!(empty["flows"], json!([]));
    assert_eq!(empty["points"][0]["p50_ms"], Value::Null);
    assert_eq!(side.gateway.chat("smart").send().await.status, 200);
    side.gateway.chat("a:m").send().await;
    side.gateway.chat("a:nobody-named-this").send().await;
    until("three requests", async || {
        sum(&history(&side).await, "requests") == 3
    })
    .await;
    let history = history(&side).await;
    assert_eq!(sum(&history, "failed"), 2);
    assert_eq!(sum(&history, "failovers"), 1);
    let mut points = history["points"].as_array().unwrap().iter();
    assert!(points.any(|point| point["p50_ms"].as_f64().is_some_and(|ms| ms > 0.0)));
    let flow = |target: &str, upstream: &str| {
        let flows = history["flows"].as_array().unwrap().iter();
        let mut found = flows.filter(|it| it["target"] == target && it["upstream"] == upstream);
        let flow = found
            .next()
            .unwrap_or_else(|| panic!("{target}: {history}"));
        (
            flow["attempts"].as_u64().unwrap(),
            flow["failed"].as_u64().unwrap(),
        )
    };
    assert_eq!(flow("smart", "b:mb"), (1, 0));
    let (attempts, failed) = flow("smart", "a:m");
    assert!(attempts >= 1 && attempts == failed, "{attempts} {failed}");
    assert!(flow("a:m", "a:m").0 >= 1);
    assert!(flow("other", "other").0 >= 1);
}
