//! Connections as bytes and as frames: what a well-behaved client library would not send.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::wait::bounded;

/// Reads until the other side closes, or resets.
pub async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    let reading = async { while let Ok(1..) = stream.read_buf(&mut all).await {} };
    bounded("the connection's end", reading).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// Sends these bytes, and reads to the end.
pub async fn tell(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8]) -> String {
    // Who is refused early may not be able to finish.
    drop(stream.write_all(bytes).await);
    rest(stream).await
}

/// An HTTP/1.1 request over a kept connection.
pub fn kept(path: &str, body: &str) -> String {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Reads one answer with a `content-length`, or the head of one without.
pub async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(&all).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    return text;
                }
            }
            let read = stream.read_buf(&mut all).await.unwrap_or(0);
            assert!(read > 0, "closed after: {text}");
        }
    };
    bounded("an answer", reading).await
}

/// An HTTP/2 connection.
pub struct H2 {
    sender: SendRequest<Full<Bytes>>,
    /// Ends with the connection.
    pub connection: JoinHandle<Result<(), hyper::Error>>,
}

/// Runs the client's tasks.
#[derive(Clone)]
struct Tasks;

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, work: F) {
        tokio::spawn(work);
    }
}

impl H2 {
    /// Begins with the preface, without asking.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = http2::handshake(Tasks, TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        Self { sender, connection }
    }

    /// Sends a request; the answer's head.
    pub async fn send(
        &mut self,
        path: &str,
        body: String,
    ) -> hyper::Result<http::Response<hyper::body::Incoming>> {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://localhost{path}"))
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        self.request(request).await
    }

    /// Sends this request; the answer's head.
    pub async fn request(
        &mut self,
        request: http::Request<Full<Bytes>>,
    ) -> hyper::Result<http::Response<hyper::body::Incoming>> {
        bounded("the connection to be ready", self.sender.ready()).await?;
        bounded("an answer", self.sender.send_request(request)).await
    }

    /// Sends a request; status and body.
    pub async fn ask(&mut self, path: &str, body: String) -> (u16, String) {
        let response = self.send(path, body).await.unwrap();
        let status = response.status().as_u16();
        (status, text(response).await)
    }
}

/// The whole body; what came until it broke off.
pub async fn text(response: http::Response<hyper::body::Incoming>) -> String {
    let mut body = response.into_body();
    let mut all = Vec::new();
    while let Some(Ok(frame)) = bounded("a piece", body.frame()).await {
        all.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    String::from_utf8(all).unwrap()
}
