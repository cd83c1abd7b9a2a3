//! The least that a relay in Rust does: hyper on both sides and a list of idle connections, no look at anything.

use std::pin::Pin;
use std::sync::Arc;
#[expect(clippy::disallowed_types, reason = "a benchmark")]
use std::sync::Mutex;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

type Sender = SendRequest<Full<Bytes>>;

#[expect(clippy::disallowed_types, reason = "a benchmark")]
struct Upstream {
    address: String,
    host: HeaderValue,
    uri: Uri,
    idle: Mutex<Vec<Sender>>,
}

impl Upstream {
    fn idle(&self) -> Option<Sender> {
        self.idle.lock().expect("no panic").pop()
    }

    async fn sender(&self) -> Sender {
        while let Some(mut sender) = self.idle() {
            if sender.ready().await.is_ok() {
                return sender;
            }
        }
        let stream = TcpStream::connect(&self.address)
            .await
            .expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("a connection");
        #[expect(clippy::disallowed_methods, reason = "a benchmark")]
        tokio::spawn(connection);
        sender
    }
}

/// An answer's body, with the connection that it comes over: back in the list once it has ended.
struct Relayed {
    body: Incoming,
    sender: Option<Sender>,
    upstream: Arc<Upstream>,
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take()
            && self.body.is_end_stream()
        {
            self.upstream.idle.lock().expect("no panic").push(sender);
        }
    }
}

#[expect(clippy::disallowed_types, reason = "a benchmark")]
pub fn serve() {
    let address = std::env::var("OVERHEAD_UPSTREAM").expect("an upstream");
    let upstream = Arc::new(Upstream {
        host: address.parse().expect("a header"),
        uri: "/v1/chat/completions".parse().expect("a path"),
        address,
        idle: Mutex::new(Vec::new()),
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("nodelay");
            let upstream = Arc::clone(&upstream);
            let service = service_fn(move |request| pass(request, Arc::clone(&upstream)));
            #[expect(clippy::disallowed_methods, reason = "a benchmark")]
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
}

async fn pass(
    request: Request<Incoming>,
    upstream: Arc<Upstream>,
) -> Result<Response<Relayed>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let mut call = Request::new(Full::new(body));
    *call.method_mut() = Method::POST;
    *call.uri_mut() = upstream.uri.clone();
    let headers = call.headers_mut();
    headers.insert("host", upstream.host.clone());
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("authorization", HeaderValue::from_static("Bearer key"));
    let mut sender = upstream.sender().await;
    let (head, body) = sender.send_request(call).await?.into_parts();
    let mut response = Response::new(Relayed {
        body,
        sender: Some(sender),
        upstream,
    });
    *response.status_mut() = head.status;
    for name in ["content-type", "content-length"] {
        if let Some(value) = head.headers.get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Ok(response)
}
