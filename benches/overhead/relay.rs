//! The bare relay: axum in, reqwest out, no look at anything.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;

#[derive(Clone)]
struct Relay {
    client: reqwest::Client,
    url: reqwest::Url,
}

pub fn serve() {
    let upstream = std::env::var("OVERHEAD_UPSTREAM").expect("an upstream");
    let relay = Relay {
        client: reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .expect("a client"),
        url: format!("http://{upstream}/v1/chat/completions")
            .parse()
            .expect("a URL"),
    };
    let router = Router::new()
        .route("/v1/chat/completions", post(pass))
        .with_state(relay);
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
            let service = TowerToHyperService::new(router.clone());
            #[expect(clippy::disallowed_methods, reason = "a benchmark")]
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
}

async fn pass(State(relay): State<Relay>, body: Bytes) -> Response {
    let sent = relay
        .client
        .post(relay.url)
        .header("content-type", "application/json")
        .header("authorization", "Bearer key")
        .body(body)
        .send()
        .await
        .expect("an answer");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = sent.status();
    for name in ["content-type", "content-length"] {
        if let Some(value) = sent.headers().get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    *response.body_mut() = Body::from_stream(sent.bytes_stream());
    response
}
