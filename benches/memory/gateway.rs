//! The process under test, as floods reach it. Whatever waits for it waits a bounded time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};

use crate::process::{self, Process};

/// A read or a write that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(3);
/// A whole call that takes longer has failed.
const CALL_LIMIT: Duration = Duration::from_secs(20);

pub struct Gateway {
    pub process: Process,
    address: String,
    admin: String,
}

impl Gateway {
    /// In front of this upstream: as `p`, and as `w` with a small window, so that tokens are counted.
    pub fn start(upstream: &str) -> Self {
        let provider = |name: &str, more: &str| {
            format!(
                "    - {{name: {name}, model: m, api_key: key, base_url: 'http://{upstream}/v1', retry: {{same_upstream: 0}}{more}}}\n"
            )
        };
        let config = format!(
            "log: {{format: json}}\nserver: {{max_body: 64MiB}}\ndispatch: {{await_cooldown: 0s, deadline: 15s}}\nllm:\n  providers:\n{}{}",
            provider("p", ""),
            provider("w", ", context_window: 1000"),
        );
        let (process, [address, admin]) = process::pointsman(&config, ["data", "admin"]);
        Self {
            process,
            address,
            admin,
        }
    }

    /// A connection to its data listener.
    pub fn connect(&self) -> TcpStream {
        open(&self.address).expect("a connection")
    }

    /// A connection to its admin listener, unless there is no more room in its queue.
    pub fn connect_admin(&self) -> Option<TcpStream> {
        open(&self.admin)
    }

    /// A chat request for a client that keeps its connections.
    pub fn chat(&self, client: &Client, body: String) -> RequestBuilder {
        let url = format!("http://{}/v1/chat/completions", self.address);
        client.post(url).body(body)
    }

    /// An order that tells everyone who listens of one event.
    pub fn tell(&self, client: &Client) -> bool {
        let url = format!("http://{}/admin/v1/keys/p%231/release", self.admin);
        let order = client.post(url).header("x-pointsman-admin", "1");
        finish(order).is_some_and(|status| status == 200)
    }
}

fn open(address: &str) -> Option<TcpStream> {
    let address: SocketAddr = address.parse().expect("an address");
    let connection = TcpStream::connect_timeout(&address, LIMIT).ok()?;
    connection.set_read_timeout(Some(LIMIT)).expect("a limit");
    connection.set_write_timeout(Some(LIMIT)).expect("a limit");
    Some(connection)
}

/// A client that keeps its connections: so many short ones would use up this machine's ports.
pub fn client() -> Client {
    let client = Client::builder().timeout(CALL_LIMIT).no_proxy();
    client.build().expect("a client")
}

/// Sends a request and reads all of the answer. Its status, if there was one.
pub fn finish(request: RequestBuilder) -> Option<u16> {
    let mut answer = request.send().ok()?;
    let status = answer.status().as_u16();
    drop(std::io::copy(&mut answer, &mut std::io::sink()));
    Some(status)
}

/// Sends a request and reads a little of its answer, if one comes. The connection stays open.
pub fn begin(gateway: &Gateway, body: &str) -> TcpStream {
    let mut connection = gateway.connect();
    // Who is refused early may not be able to finish.
    let sent = connection
        .write_all(head(body.len()).as_bytes())
        .and_then(|()| connection.write_all(body.as_bytes()));
    drop(sent);
    drop(connection.read(&mut [0; 16]));
    connection
}

/// What has come and can be read at once.
pub fn said(connection: &mut TcpStream) -> String {
    let mut all = vec![0; 1024 * 1024];
    connection.set_nonblocking(true).expect("a mode");
    let size = connection.read(&mut all).unwrap_or(0);
    String::from_utf8_lossy(all.get(..size).unwrap_or_default()).into_owned()
}

/// The head of a chat request.
pub fn head(length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    )
}
