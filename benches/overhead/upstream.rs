//! The fixed upstream: one answer of some 600 bytes or of 2 KB, or a stream of 60 events, at a steady pace or all at once. It
//! takes traces and metrics, too.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

/// Content events of a stream.
pub const EVENTS: usize = 60;
/// An answer that takes its time takes this.
const SLOW: Duration = Duration::from_millis(200);
/// Between two of them.
const PACE: Duration = Duration::from_millis(4);

pub fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("nodelay");
            #[expect(clippy::disallowed_methods, reason = "a benchmark")]
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer)),
            );
        }
    });
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let is_told = matches!(request.uri().path(), "/v1/traces" | "/v1/metrics");
    let body = request.into_body().collect().await?.to_bytes();
    if is_told {
        return Ok(Response::new(Full::default().boxed()));
    }
    let asks = |what: &[u8]| body.windows(what.len()).any(|part| part == what);
    if !asks(b"\"stream\":true") {
        if asks(b"slow") {
            tokio::time::sleep(SLOW).await;
        }
        let words = if asks(b"\"user\":\"long\"") { 360 } else { 80 };
        let mut response = Response::new(Full::new(Bytes::from(plain(words))).boxed());
        response.headers_mut().insert(
            "content-type",
            "application/json".parse().expect("a header"),
        );
        return Ok(response);
    }
    let idle = asks(b"idle");
    let bulk = asks(b"bulk");
    let events = stream::unfold(0usize, move |number| async move {
        match number {
            0 => {}
            _ if idle => std::future::pending().await,
            _ if bulk => {}
            _ => tokio::time::sleep(PACE).await,
        }
        let event = match number {
            0 => chunk(r#"{"role":"assistant","content":"Hello"}"#, "null"),
            n if n < EVENTS => chunk(r#"{"content":" word"}"#, "null"),
            n if n == EVENTS => chunk("{}", "\"stop\"") + "data: [DONE]\n\n",
            _ => return None,
        };
        Some((Ok(Frame::data(Bytes::from(event))), number + 1))
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(events.boxed_sync())));
    response.headers_mut().insert(
        "content-type",
        "text/event-stream".parse().expect("a header"),
    );
    Ok(response)
}

trait BoxedSync: futures_util::Stream + Sized {
    fn boxed_sync(
        self,
    ) -> std::pin::Pin<Box<dyn futures_util::Stream<Item = Self::Item> + Send + Sync>>
    where
        Self: Send + Sync + 'static,
    {
        Box::pin(self)
    }
}

impl<S: futures_util::Stream> BoxedSync for S {}

fn plain(words: usize) -> String {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":12,"completion_tokens":80,"total_tokens":92}}}}"#,
        "word ".repeat(words)
    )
}

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}
