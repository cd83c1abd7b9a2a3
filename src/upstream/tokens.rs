//! The token of one key, fetched when it is needed, kept until shortly before it ends. One task owns it: it asks the server
//! once for all who wait, and goes on when a caller leaves.

use bytes::Bytes;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::http_client::HttpUpstream;
use super::{Transport, UpstreamRequest};
use crate::domain::ids::ModelName;
use crate::domain::secret::ApiKey;
use crate::domain::time::Time;
use crate::runtime::clock::Clock;
use crate::runtime::task;
use crate::wire::grant::{self, FetchedToken, Grant, TokenError, TokenRequest};
use crate::wire::redact::Redactor;

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A new token is fetched so long before the old one ends, at most; of a short life a fifth.
const AHEAD: Duration = Duration::from_secs(300);
/// A token is not used in its last seconds: the call takes time, and clocks differ.
const LAST: Duration = Duration::from_secs(10);
/// After a failure the server is left alone for so long, while the old token holds.
const REST: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes.
const MOST: usize = 64 * 1024;

/// A token, and whether it was fetched for who asked just now.
#[derive(Clone, Debug)]
pub struct LentToken {
    /// The token.
    pub token: ApiKey,
    /// It was fetched after it was asked for.
    pub fresh: bool,
}

enum Order {
    /// Gives the token to who asks.
    Ask(oneshot::Sender<Result<LentToken, TokenError>>),
    /// This one was refused.
    Reject(ApiKey),
}

/// Where the token of one key comes from.
#[derive(Debug)]
pub struct TokenSource {
    fetcher: Arc<Fetcher>,
    clock: Clock,
    /// To the task that owns the token, once it runs.
    orders: OnceLock<mpsc::UnboundedSender<Order>>,
}

#[derive(Debug)]
struct Fetcher {
    grant: Grant,
    /// The server; `None` where a file is all there is.
    server: Option<HttpUpstream>,
    /// Its URL, and its host for messages.
    url: String,
    host: String,
}

impl TokenSource {
    /// A source that asks `server`, which is at `url`.
    pub fn new(grant: Grant, server: Option<HttpUpstream>, url: &str, clock: Clock) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        Self {
            fetcher: Arc::new(Fetcher {
                grant,
                server,
                url: url.trim_end_matches('/').to_owned(),
                host: host.to_owned(),
            }),
            clock,
            orders: OnceLock::new(),
        }
    }

    /// The token.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn token(&self) -> Result<LentToken, TokenError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Ask(reply));
        answer
            .await
            .unwrap_or_else(|_| Err(self.fetcher.silent("the fetch was given up")))
    }

    /// Notes that a token was refused: it is not used again.
    pub fn reject(&self, token: ApiKey) {
        self.order(Order::Reject(token));
    }

    fn order(&self, order: Order) {
        let orders = self.orders.get_or_init(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let keeper = Keeper {
                fetcher: Arc::clone(&self.fetcher),
                clock: self.clock,
                held: None,
                waiting: Vec::new(),
                rest: Time::ZERO,
            };
            task::detach(keeper.run(receiver));
            sender
        });
        // The task ends with the source. If it is gone, who asks is told so.
        drop(orders.send(order));
    }
}

/// A token that is kept.
struct HeldToken {
    token: ApiKey,
    /// From then on a new one is fetched.
    renew: Time,
    /// From then on it is not used.
    end: Time,
}

type TokenFetch = BoxFuture<'static, Result<FetchedToken, TokenError>>;

/// The task that owns the token.
struct Keeper {
    fetcher: Arc<Fetcher>,
    clock: Clock,
    held: Option<HeldToken>,
    waiting: Vec<oneshot::Sender<Result<LentToken, TokenError>>>,
    /// Until then no new one is fetched while there is an old one.
    rest: Time,
}

impl Keeper {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut fetch: Option<TokenFetch> = None;
        loop {
            let fetched = async {
                match &mut fetch {
                    Some(fetch) => fetch.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = orders.recv() => match order {
                    None => return,
                    Some(order) => {
                        if self.serve(order) && fetch.is_none() {
                            let fetcher = Arc::clone(&self.fetcher);
                            let wall = self.clock.wall();
                            fetch = Some(Box::pin(async move { fetcher.fetch(wall).await }));
                        }
                    }
                },
                result = fetched => {
                    fetch = None;
                    self.settle(result);
                }
            }
        }
    }

    /// Serves an order; whether a token is to be fetched now.
    fn serve(&mut self, order: Order) -> bool {
        let now = self.clock.now();
        let reply = match order {
            Order::Reject(token) => {
                self.held = self.held.take().filter(|held| held.token != token);
                return false;
            }
            Order::Ask(reply) => reply,
        };
        match self.held.as_ref().filter(|held| now < held.end) {
            Some(held) => {
                let lent = LentToken {
                    token: held.token.clone(),
                    fresh: false,
                };
                // Whoever asked may have left.
                drop(reply.send(Ok(lent)));
                now >= held.renew && now >= self.rest
            }
            None => {
                self.waiting.push(reply);
                true
            }
        }
    }

    /// Tells all who wait what came of it.
    fn settle(&mut self, result: Result<FetchedToken, TokenError>) {
        let now = self.clock.now();
        let told = match result {
            Ok(FetchedToken { token, life }) => {
                self.held = Some(HeldToken {
                    token: token.clone(),
                    renew: now + life.saturating_sub(AHEAD.min(life / 5)),
                    end: now + life.saturating_sub(LAST.min(life / 10)),
                });
                Ok(LentToken { token, fresh: true })
            }
            Err(error) => {
                let error_text = self.fetcher.masked(&error);
                tracing::warn!(error = error_text, "no token for a key");
                self.rest = now + REST;
                Err(error)
            }
        };
        for reply in self.waiting.drain(..) {
            drop(reply.send(told.clone()));
        }
    }
}

impl Fetcher {
    /// The words of a failure: the server may have repeated the credential.
    fn masked(&self, error: &TokenError) -> String {
        let secrets = self.grant.secrets().into_iter();
        let redactor = secrets.fold(Redactor::new(None), |all, secret| all.with(secret.expose()));
        let text = error.to_string();
        redactor.masked_text(&text).unwrap_or(text)
    }

    fn silent(&self, why: &str) -> TokenError {
        TokenError::Unreachable {
            host: self.host.clone(),
            why: why.to_string(),
        }
    }

    async fn fetch(&self, wall: std::time::SystemTime) -> Result<FetchedToken, TokenError> {
        let proof = match self.grant.file() {
            None => None,
            Some(path) => {
                let shown = path.display().to_string();
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path));
                let read = read
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()));
                let text = read.map_err(|error| TokenError::File {
                    path: shown.clone(),
                    why: error.kind().to_string(),
                })?;
                let text = ApiKey::new(text);
                let token = grant::token_of_file(&text).ok_or_else(|| TokenError::File {
                    path: shown,
                    why: "it holds no token".to_owned(),
                })?;
                Some(token)
            }
        };
        let Some(server) = &self.server else {
            return proof.ok_or_else(|| self.silent("nothing says where to ask"));
        };
        let proof = proof.map(|proof| proof.token);
        let request = self.grant.request(proof.as_ref(), wall)?;
        match tokio::time::timeout(PATIENCE, self.ask(server, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.silent(&format!("nothing came within {PATIENCE:?}"))),
        }
    }

    async fn ask(
        &self,
        server: &HttpUpstream,
        request: TokenRequest,
    ) -> Result<FetchedToken, TokenError> {
        let path = request.url.strip_prefix(&self.url).unwrap_or_default();
        let call = UpstreamRequest {
            method: request.method,
            path: path.to_owned().into(),
            model: ModelName::from(""),
            headers: request.headers,
            passed: false,
            body: Bytes::from(request.body.expose().to_owned()).into(),
            signing: None,
        };
        let answer = server
            .send(call)
            .await
            .map_err(|error| self.silent(&error.to_string()))?;
        let mut chunks = answer.body;
        let mut body = Vec::new();
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(|error| self.silent(&error.to_string()))?);
            if body.len() > MOST {
                return Err(self.silent(&format!("its answer has more than {MOST} bytes")));
            }
        }
        grant::read_answer(&self.host, answer.status, &body)
    }
}

#[cfg(test)]
mod tests;
