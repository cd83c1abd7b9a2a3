//! An upstream in this process that floods: what it sends is said by the model that is asked for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

const MIB: usize = 1024 * 1024;

/// Its address; it serves until the process ends.
pub fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // The kernel would keep a body back until the head is acknowledged: 40 ms for each answer.
            connection.set_nodelay(true).expect("nodelay");
            // A gateway that is ended breaks its connections off.
            thread::spawn(move || drop(answer(&connection)));
        }
    });
    address
}

fn answer(mut connection: &TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let text = String::from_utf8_lossy(body.get(..256).unwrap_or(&body)).into_owned();
        let model = text.split("\"model\":\"").nth(1).unwrap_or("");
        let model = model.split('"').next().unwrap_or("");
        let size: usize = model
            .rsplit('-')
            .next()
            .and_then(|size| size.parse().ok())
            .unwrap_or(1);
        let json = "content-type: application/json";
        let zipped = "content-type: text/event-stream\r\ncontent-encoding: gzip";
        match model.split('-').next().unwrap_or("") {
            "zip" => {
                let status = if model.contains("-400-") {
                    "400 Bad Request"
                } else {
                    "200 OK"
                };
                let body = zip(b' ', size * MIB);
                respond(
                    connection,
                    status,
                    &format!("{json}\r\ncontent-encoding: gzip"),
                    &body,
                )?;
            }
            "blank" => {
                // The end never comes.
                let body = zip(b'\n', size * MIB);
                let head = format!(
                    "HTTP/1.1 200 OK\r\n{zipped}\r\ncontent-length: {}\r\n\r\n",
                    body.len() + 1
                );
                connection.write_all(head.as_bytes())?;
                connection.write_all(&body)?;
            }
            "large" => {
                let text = "x".repeat(size * MIB);
                let event = format!(
                    "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
                );
                respond(
                    connection,
                    "200 OK",
                    "content-type: text/event-stream",
                    event.repeat(2).as_bytes(),
                )?;
            }
            "limited" => {
                let head = format!("{json}\r\nretry-after: 300");
                respond(
                    connection,
                    "429 Too Many Requests",
                    &head,
                    br#"{"error":{"message":"slow down"}}"#,
                )?;
            }
            "fail" => {
                let error = br#"{"error":{"message":"out of order"}}"#;
                respond(connection, "500 Internal Server Error", json, error)?;
            }
            "short" => {
                let event = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
                let head = "content-type: text/event-stream";
                respond(connection, "200 OK", head, event)?;
            }
            "gone" => {
                let error = br#"{"error":{"message":"no such model","code":"model_not_found"}}"#;
                respond(connection, "404 Not Found", json, error)?;
            }
            _ => {
                let ok = br#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}"#;
                respond(connection, "200 OK", json, ok)?;
            }
        }
    }
}

fn respond(
    mut connection: &TcpStream,
    status: &str,
    head: &str,
    body: &[u8],
) -> std::io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {length}\r\n\r\n");
    connection.write_all(head.as_bytes())?;
    connection.write_all(body)
}

/// So many of this byte, packed.
fn zip(byte: u8, bytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let piece = vec![byte; 64 * 1024];
    for _ in 0..bytes / piece.len() {
        encoder.write_all(&piece).expect("memory");
    }
    encoder.finish().expect("memory")
}
