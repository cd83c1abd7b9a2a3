//! Bodies of requests that are compressed, have a byte order mark, or grow too much.

use crate::support::{Answer, Gateway, ScriptedUpstream, chat, codings, serving};

/// [`chat`] of `a` as brotli's own encoder makes it.
const BROTLI: &str = "1b3800401c07760cf907713868be8652646bafc2d29a45a7ab0f38e4c0e940595b209fd7994d8725a39e409e6c9925d30060f1dd6e";
/// 64 MiB of blanks in brotli.
const BROTLI_BOMB: &str = "cbffff3ff82540e2b14020f7fe8fffff7ff04b00c4611180eefd1fffffffe0970088c30200ddfb3ffeffffc12f0110870500baf77ffcffff835f02200e0b0074effff8ffff07bf04401c1600e8defff1ffff0f7e0980382c00d0bdffcbffff3ffc1200715800a07bff07";

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex
        .as_bytes()
        .chunks(2)
        .map(|two| std::str::from_utf8(two).unwrap());
    digits
        .map(|two| u8::from_str_radix(two, 16).unwrap())
        .collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    codings::encoded("gzip", text)
}

fn zlib(text: &[u8]) -> Vec<u8> {
    codings::encoded("deflate", text)
}

fn deflate(text: &[u8]) -> Vec<u8> {
    codings::encoded("raw deflate", text)
}

fn zstd(text: &[u8]) -> Vec<u8> {
    codings::encoded("zstd", text)
}

async fn encoded(gateway: &Gateway, encoding: &str, body: Vec<u8>) -> Answer {
    gateway
        .post_chat(body)
        .header("content-encoding", encoding)
        .send()
        .await
}

#[tokio::test]
async fn compressed_bodies_are_read_and_go_on_plain() {
    let (a, gateway) = serving("").await;
    let plain = chat("a").into_bytes();
    let padded = |pad: usize| format!("{}{}", " ".repeat(pad), chat("a")).into_bytes();
    let two = [gzip(&plain[..20]), gzip(&plain[20..])].concat();
    let cases = [
        ("gzip", gzip(&plain)),
        ("x-gzip", gzip(&plain)),
        ("GZIP", gzip(&plain)),
        ("gzip", two),
        ("gzip", gzip(&padded(3_000_000))),
        ("deflate", zlib(&plain)),
        ("deflate", deflate(&plain)),
        ("br", bytes(BROTLI)),
        ("zstd", zstd(&plain)),
        ("zstd", zstd(&padded(3_000_000))),
        ("gzip, identity", gzip(&plain)),
        ("identity,gzip", gzip(&plain)),
        ("gzip, zstd", zstd(&gzip(&plain))),
        ("identity", plain.clone()),
        ("", plain.clone()),
    ];
    for (encoding, body) in cases {
        let answer = encoded(&gateway, encoding, body).await;
        assert_eq!(answer.status, 200, "{encoding}: {}", answer.text());
        let requests = a.requests();
        let request = requests.last().unwrap();
        assert_eq!(request.header("content-encoding"), None, "{encoding}");
        assert_eq!(request.json()["messages"][0]["content"], "hi", "{encoding}");
    }
    // As two lines of the head.
    let call = gateway.post_chat(zstd(&gzip(&plain)));
    let call = call
        .header("content-encoding", "gzip")
        .header("content-encoding", "zstd");
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn what_grows_too_much_is_refused_before_it_has_grown() {
    let (a, gateway) = serving("max_body: 1MiB").await;
    let large = vec![b' '; 64 * 1024 * 1024];
    for (encoding, body) in [
        ("gzip", gzip(&large)),
        ("deflate", zlib(&large)),
        ("deflate", deflate(&large)),
        ("zstd", zstd(&large)),
        ("br", bytes(BROTLI_BOMB)),
        ("gzip, gzip", gzip(&gzip(&large))),
    ] {
        let answer = encoded(&gateway, encoding, body).await;
        answer.assert_error(413, "request_too_large");
        let text = answer.text();
        assert!(
            text.contains("1048576") && text.contains("decompressed"),
            "{text}"
        );
    }
    assert_eq!(a.count(), 0);
    // What fits is not held against it.
    let fits = format!("{}{}", " ".repeat(1_000_000), chat("a"));
    assert_eq!(
        encoded(&gateway, "gzip", gzip(fits.as_bytes()))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn broken_and_unknown_encodings_are_told_apart() {
    let (a, gateway) = serving("").await;
    let plain = chat("a").into_bytes();
    let cut = |body: Vec<u8>| body[..body.len() - 5].to_vec();
    for (encoding, body) in [
        ("gzip", plain.clone()),
        ("gzip", cut(gzip(&plain))),
        ("gzip", Vec::new()),
        ("deflate", plain.clone()),
        ("deflate", cut(zlib(&plain))),
        ("deflate", cut(deflate(&plain))),
        ("br", plain.clone()),
        ("br", cut(bytes(BROTLI))),
        ("zstd", plain.clone()),
        ("zstd", cut(zstd(&plain))),
    ] {
        let answer = encoded(&gateway, encoding, body).await;
        answer.assert_error(400, "invalid_request");
        let text = answer.text();
        assert!(
            text.contains(&format!("content-encoding: {encoding}")),
            "{encoding}: {text}"
        );
    }
    for encoding in [
        "lz4",
        "gzip, lz4",
        "compress",
        "gzip;q=1",
        "gzip, gzip, gzip, gzip",
    ] {
        let answer = encoded(&gateway, encoding, gzip(&plain)).await;
        answer.assert_error(415, "unsupported_encoding");
        assert!(answer.text().contains("encoding"), "{}", answer.text());
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
        assert_eq!(
            answer.header("accept-encoding"),
            "gzip, deflate, br, zstd, identity"
        );
    }
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_a_request() {
    let (a, gateway) = serving("").await;
    let marked = [b"\xef\xbb\xbf", chat("a").as_bytes()].concat();
    assert_eq!(gateway.post_chat(marked.clone()).send().await.says(), "ok");
    assert_eq!(encoded(&gateway, "gzip", gzip(&marked)).await.says(), "ok");
    assert!(
        a.requests()
            .iter()
            .all(|request| request.body.starts_with(b"{"))
    );
    let answer = gateway.post_chat(&b"\xef\xbb"[..]).send().await;
    answer.assert_error(400, "invalid_json");
    let wide: Vec<u8> = chat("a")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let answer = gateway.post_chat(wide).send().await;
    answer.assert_error(400, "invalid_json");
}

#[tokio::test]
async fn an_unknown_encoding_is_refused_before_the_body_comes() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(crate::support::ONE, &[("a", &a)]).await;
    let request = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nexpect: 100-continue\r\n\
                   content-encoding: lz4\r\ncontent-length: 5\r\n\r\n";
    let answer = crate::support::raw::tell(&mut gateway.connect().await, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
}
