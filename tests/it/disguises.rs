//! A key in a disguise: wherever an upstream repeats it, neither the caller nor the log, the stories or the traces hold
//! anything that it could be read from.

use crate::admin::side::Side;
use crate::support::behaviour::{chunk, completion, event, finish};
use crate::support::gateway::Place;
use crate::support::receiver::Receiver;
use crate::support::{Behaviour, Match, ScriptedUpstream, until};

const KEY: &str = "sk-planted-Ab3dE5fGh1jKlMn0pQrStUv";

const YAML: &str = "
log: {format: json, level: debug}
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: KEY, retry: {same_upstream: 0}, circuit_breaker: {failure_threshold: 0, failure_rate: 0}}
telemetry:
  otlp: {endpoint: <receiver>, timeout: 3s}
  metrics: {push: false}
  traces: {sample: 1}
";

/// The key as text in each disguise, fit to stand in a string of JSON, and what of it would be seen.
fn disguises() -> Vec<(String, Vec<String>)> {
    let parted = |every: usize, between: &str| {
        let letters: Vec<char> = KEY.chars().collect();
        let groups = letters.chunks(every).map(String::from_iter);
        groups.collect::<Vec<String>>().join(between)
    };
    let each = |form: &dyn Fn(u8) -> String, between: &str| {
        KEY.bytes().map(form).collect::<Vec<_>>().join(between)
    };
    let plain = vec!["e5fgh1jk".to_owned()];
    // `printf %s KEY | base64`, with nothing, with one and with two bytes in front.
    let base64 = [
        "c2stcGxhbnRlZC1BYjNkRTVmR2gxaktsTW4wcFFyU3RVdg==",
        "OnNrLXBsYW50ZWQtQWIzZEU1ZkdoMWpLbE1uMHBRclN0VXY=",
        "dTpzay1wbGFudGVkLUFiM2RFNWZHaDFqS2xNbjBwUXJTdFV2",
    ];
    let hexadecimal = each(&|byte| format!("{byte:02x}"), "");
    let seen = |text: &str| vec![text[16..28].to_lowercase(), text[20..32].to_lowercase()];
    let mut all: Vec<_> = [
        parted(4, " "),
        parted(4, "-"),
        parted(7, "\\n"),
        parted(3, "\\t"),
        parted(1, "\\u200b"),
        parted(2, "\\u00ad"),
        parted(5, "\u{2060}"),
        KEY.to_uppercase(),
        each(&|byte| format!("%{byte:02X}"), ""),
        each(&|byte| format!("&#{byte};"), ""),
        each(&|byte| format!("\\u{byte:04x}"), ""),
    ]
    .map(|text| (text, plain.clone()))
    .into();
    all.extend(base64.map(|text| (text.to_owned(), seen(text))));
    all.push((hexadecimal.to_uppercase(), seen(&hexadecimal)));
    for between in [" ", ":"] {
        let spaced = each(&|byte| format!("{byte:02x}"), between);
        all.push((spaced, seen(&hexadecimal)));
    }
    all
}

/// Nothing of what a disguise shows, whatever stands in between.
#[track_caller]
fn assert_hidden(text: &str, pieces: &[String], place: &str) {
    let undone = text
        .replace("\\u200b", "")
        .replace("\\u00ad", "")
        .replace("\\n", "")
        .replace("\\t", "")
        .replace("\\u00", "")
        .replace("&#", "");
    let flat = |text: &str| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.collect::<String>().to_lowercase()
    };
    for text in [flat(text), flat(&undone)] {
        for piece in pieces {
            assert!(!text.contains(piece), "{place}: {piece} in {text}");
        }
        let escaped = "41623364453566";
        assert!(!text.contains(escaped), "{place}: {escaped} in {text}");
    }
}

async fn side(a: &ScriptedUpstream, receiver: &Receiver) -> Side {
    let places: [(&str, &dyn Place); 2] = [("a", a), ("receiver", receiver)];
    Side::start(&YAML.replace("KEY", KEY), &places).await
}

#[tokio::test]
async fn no_disguise_gets_a_key_past_the_masker() {
    let a = ScriptedUpstream::start().await;
    let receiver = Receiver::start().await;
    let side = side(&a, &receiver).await;
    let mut pieces = Vec::new();
    let mut asked = 0;
    for (text, seen) in disguises() {
        let error = format!(r#"{{"error":{{"message":"denied to {text} .","code":"x"}}}}"#);
        let good = completion("fine").replace("upstream-model", &text);
        let mut served = Behaviour::json(200, &good);
        if !text.contains('\u{2060}') {
            served = served.header("x-seen", &text).header("x-other", "yes");
        }
        let comments = [
            format!(": key {text}\n\n"),
            chunk("fine"),
            format!(": key {text}\nid: {text}\n{}", chunk(" so")),
            finish("stop"),
            event("[DONE]"),
        ];
        let broken = [chunk("fine"), event(&error)];
        let behaviours = [
            Behaviour::json(400, &error),
            served,
            Behaviour::events(comments),
            Behaviour::events(broken),
        ];
        a.on(Match::any(), behaviours);
        for stream in [false, false, true, true] {
            let call = match stream {
                true => side.gateway.chat_stream("a"),
                false => side.gateway.chat("a"),
            };
            let answer = call
                .header("x-request-id", &format!("r{asked}"))
                .send()
                .await;
            let trace = side
                .get(&format!("/admin/v1/requests/r{asked}"))
                .send()
                .await;
            asked += 1;
            assert!(trace.text().contains("tries"), "{}", trace.text());
            assert_hidden(trace.text(), &seen, "trace");
            if answer.status != 200 || stream {
                assert_hidden(answer.text(), &seen, "body");
            }
            assert_hidden(&format!("{:?}", answer.headers), &seen, "head");
            assert!(
                stream
                    || answer.status == 400
                    || text.contains('\u{2060}')
                    || answer.header("x-other") == "yes"
            );
        }
        pieces.extend(seen);
    }
    // Each request has a span, and so has its attempt.
    until("spans at the receiver", || async {
        receiver.spans().len() >= asked * 2
    })
    .await;
    assert_hidden(&format!("{:?}", receiver.spans()), &pieces, "spans");
    for line in side.gateway.finish().await {
        assert_hidden(&line, &pieces, "log");
    }
}

#[tokio::test]
async fn a_key_in_utf_16_is_in_no_trace_and_the_words_beside_it_are() {
    for fingerprint in [&b""[..], b"\xff\xfe", b"\xfe\xff"] {
        let a = ScriptedUpstream::start().await;
        let receiver = Receiver::start().await;
        let side = side(&a, &receiver).await;
        let text = format!(r#"{{"error":{{"message":"denied to {KEY}"}}}}"#);
        let units = text.encode_utf16();
        let wide = units.flat_map(|unit| match fingerprint {
            b"\xfe\xff" => unit.to_be_bytes(),
            _ => unit.to_le_bytes(),
        });
        let body = fingerprint.iter().copied().chain(wide).collect();
        let behaviour = Behaviour::pieces("application/json", vec![body]);
        a.on(Match::any(), [behaviour.status(400)]);
        let call = side.gateway.chat("a").header("x-request-id", "wide");
        let answer = call.send().await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_hidden(&text, &["e5fgh1jk".to_owned()], "body");
        let trace = side.get("/admin/v1/requests/wide").send().await;
        assert_hidden(trace.text(), &["e5fgh1jk".to_owned()], "trace");
        assert!(trace.text().contains("denied to ****"), "{}", trace.text());
    }
}

#[tokio::test]
async fn a_credential_in_the_query_of_a_url_is_a_key_too() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - name: a
      base_url: \"<a>/chat/completions?api-version=2026-01-01&code=x&sig=qk-0123456789abcdefghij%2Fk\"
      model: m
";
    let side = Side::start(yaml, &[("a", &a)]).await;
    let line = "POST /v1/chat/completions?api-version=2026-01-01&sig=qk-0123456789abcdefghij%2Fk";
    a.on(Match::any(), [Behaviour::error(400, "x", line)]);
    let answer = side.gateway.chat("a").send().await;
    assert_eq!(answer.status, 400);
    let text = answer.text();
    assert!(text.contains("api-version=2026-01-01&sig=****"), "{text}");
}
