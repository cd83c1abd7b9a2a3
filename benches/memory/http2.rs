//! Floods of HTTP/2 frames (RFC 9113) over one connection, without TLS.

use std::io::{Read, Write};
use std::thread;

use crate::gateway::Gateway;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
/// `:method: POST`, `:scheme: http`, `:path: /`, and `:authority: a` (RFC 7541, appendix A).
const FIELDS: &[u8] = &[0x83, 0x86, 0x84, 0x41, 1, b'a'];

/// The frames that are sent over and over; they are told their number.
pub type Frames = fn(u32) -> Vec<u8>;

pub const FLOODS: [(&str, Frames); 5] = [
    ("pings", |_| frame(PING, 0, 0, &[0; 8])),
    ("settings", |_| frame(SETTINGS, 0, 0, &[])),
    ("requests that are reset", |number| {
        let stream = 2 * number + 1;
        let mut frames = frame(HEADERS, END_HEADERS, stream, FIELDS);
        frames.extend(frame(RESET, 0, stream, &8u32.to_be_bytes()));
        frames
    }),
    ("empty data", |number| match number {
        0 => frame(HEADERS, END_HEADERS, 1, FIELDS),
        _ => frame(DATA, 0, 1, &[]),
    }),
    ("heads without an end", |number| match number {
        0 => frame(HEADERS, 0, 1, FIELDS),
        _ => frame(CONTINUATION, 0, 1, &[]),
    }),
];

/// Sends so many of them, and reads what comes back until it ends or falls silent. How many were sent until then.
pub fn flood(gateway: &Gateway, frames: Frames, count: usize) -> usize {
    let mut connection = gateway.connect();
    let mut answers = connection.try_clone().expect("a second handle");
    let reader = thread::spawn(move || {
        let mut sink = vec![0; 64 * 1024];
        while answers.read(&mut sink).is_ok_and(|size| size > 0) {}
    });
    let mut begin = PREFACE.to_vec();
    begin.extend(frame(SETTINGS, 0, 0, &[]));
    let mut sent = 0;
    let numbers: Vec<u32> = (0..).take(count).collect();
    if connection.write_all(&begin).is_ok() {
        for numbers in numbers.chunks(1000) {
            let many: Vec<u8> = numbers.iter().flat_map(|number| frames(*number)).collect();
            if connection.write_all(&many).is_err() {
                break;
            }
            sent += numbers.len();
        }
    }
    drop(reader.join());
    sent
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a small frame");
    let mut frame = vec![0, 0, length, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}
