//! Calls over HTTP: one client, and so one connection pool, per provider.
//!
//! Four defaults of the client are changed here. Redirects are off: it would carry `x-api-key` and other
//! key headers to whatever host the redirect names. Its own retries are off: every attempt is ours, counted
//! and explained. Proxies from the environment are off unless configured. A connect timeout is set: there
//! is none by default.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::Method;
use reqwest::{Client, Url};

use super::{Call, Reply, SendError, Upstream};
use crate::domain::dialect::Operation;

/// How long an unused connection is kept. Below the idle timeouts of common load balancers (60 s), so that
/// a request is rarely sent into a connection that the other side is just closing.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// One provider over HTTP.
#[derive(Clone, Debug)]
pub struct HttpUpstream {
    client: Client,
    urls: [Url; Operation::ALL.len()],
}

/// Why a provider's client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A URL that does not parse.
    #[error("`{url}` is not a URL: write it like https://api.example.com/v1")]
    Url {
        /// As configured.
        url: String,
    },
    /// TLS or other settings that the HTTP client refuses.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

impl HttpUpstream {
    /// A client for the API at `base_url`; `chat_url`, when given, is the full URL of chat completions.
    ///
    /// # Errors
    /// URLs that do not parse, TLS that cannot be set up.
    pub fn new(
        base_url: &str,
        chat_url: Option<&str>,
        connect: Duration,
    ) -> Result<Self, ClientError> {
        let parse = |url: String| Url::parse(&url).map_err(|_| ClientError::Url { url });
        let root = base_url.trim_end_matches('/');
        let url = |operation: Operation| match (operation, chat_url) {
            (Operation::Chat, Some(url)) => parse(url.to_owned()),
            _ => parse(format!("{root}{}", operation.path())),
        };
        let [chat, completions, embeddings, moderations, responses] = Operation::ALL.map(url);
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(connect)
            .pool_idle_timeout(POOL_IDLE)
            .tcp_nodelay(true)
            .http1_only()
            .build()?;
        Ok(Self {
            client,
            urls: [chat?, completions?, embeddings?, moderations?, responses?],
        })
    }

    fn url(&self, operation: Operation) -> Url {
        let [chat, completions, embeddings, moderations, responses] = &self.urls;
        match operation {
            Operation::Chat => chat,
            Operation::Completions => completions,
            Operation::Embeddings => embeddings,
            Operation::Moderations => moderations,
            Operation::Responses => responses,
        }
        .clone()
    }
}

impl Upstream for HttpUpstream {
    fn send(&self, call: Call) -> BoxFuture<'static, Result<Reply, SendError>> {
        let mut request = reqwest::Request::new(Method::POST, self.url(call.operation));
        *request.headers_mut() = call.headers;
        *request.body_mut() = Some(call.body.into());
        let sent = self.client.execute(request);
        Box::pin(async move {
            let response = sent.await.map_err(|error| explain(&error))?;
            let response: http::Response<reqwest::Body> = response.into();
            let (head, body) = response.into_parts();
            let body = http_body_util::BodyDataStream::new(body)
                .map(|chunk| chunk.map_err(|error| explain(&error)));
            Ok(Reply {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.boxed(),
            })
        })
    }
}

/// The innermost cause says it best; the URL is left out, it may hold what only the configuration should.
fn explain(error: &reqwest::Error) -> SendError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let detail = cause.to_string();
    if error.is_connect() && error.is_timeout() {
        SendError::ConnectTimeout(detail)
    } else if error.is_connect() {
        SendError::Connect(detail)
    } else {
        SendError::Broken(detail)
    }
}
