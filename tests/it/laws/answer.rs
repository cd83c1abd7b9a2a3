//! An answer's head as the laws are given it: a line with the provider's kind, the status and the time of the answer
//! in seconds since 1970; lines of headers; an empty line; the body.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::line;

pub struct Answer {
    pub kind: String,
    pub status: u16,
    pub wall_now: SystemTime,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn read(data: &[u8]) -> Self {
        let (first, mut rest) = line(data);
        let first = String::from_utf8_lossy(first);
        let mut words = first.split(' ');
        let kind = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|word| word.parse().ok());
        let seconds: u32 = words
            .next()
            .and_then(|word| word.trim().parse().ok())
            .unwrap_or(1_790_000_000);
        let mut headers = HeaderMap::new();
        loop {
            let (head, after) = line(rest);
            rest = after;
            let Some(colon) = head.iter().position(|byte| *byte == b':') else {
                break;
            };
            let name = HeaderName::from_bytes(&head[..colon]);
            let value = HeaderValue::from_bytes(head[colon + 1..].trim_ascii());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        Self {
            kind,
            status: status.unwrap_or(429),
            wall_now: UNIX_EPOCH + Duration::from_secs(seconds.into()),
            headers,
            body: Bytes::copy_from_slice(rest),
        }
    }
}
