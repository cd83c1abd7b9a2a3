//! The echo dialect as an upstream: no network, an answer made on the spot.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;

use super::{SendError, Transport, UpstreamRequest, UpstreamResponse};
use crate::domain::dialect::Operation;
use crate::runtime::clock::Clock;
use crate::wire::echo::{Echo, Echoed};

/// Answers with the last user message.
#[derive(Clone, Debug)]
pub struct EchoUpstream {
    provider: String,
    clock: Clock,
}

impl EchoUpstream {
    /// An echo that signs with `provider`.
    pub fn new(provider: &str, clock: Clock) -> Self {
        Self {
            provider: provider.to_owned(),
            clock,
        }
    }

    fn reply(&self, call: &UpstreamRequest) -> UpstreamResponse {
        let created = self.clock.wall().duration_since(std::time::UNIX_EPOCH);
        let echo = Echo {
            provider: &self.provider,
            id: &format!("{:016x}", fastrand::u64(..)),
            created: created.map_or(0, |since| since.as_secs()),
        };
        let request = call.body.bytes();
        let request = request.and_then(|body| crate::wire::json::value(body));
        let request = request.unwrap_or_default();
        let answer = Operation::at(&call.path).map(|operation| echo.answer(operation, &request));
        match answer.unwrap_or(Echoed::Refused("nothing is served at this path")) {
            Echoed::Whole(answer) => {
                reply(200, "application/json", vec![answer.to_string().into()])
            }
            Echoed::Stream(events) => reply(200, "text/event-stream", events),
            Echoed::Refused(why) => {
                let error = json!({"error": {
                    "message": why, "type": "invalid_request_error", "code": null, "param": "messages"
                }});
                reply(400, "application/json", vec![error.to_string().into()])
            }
        }
    }
}

fn reply(status: u16, content_type: &'static str, chunks: Vec<Bytes>) -> UpstreamResponse {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    UpstreamResponse {
        status,
        headers,
        body: futures_util::stream::iter(chunks.into_iter().map(Ok)).boxed(),
    }
}

impl Transport for EchoUpstream {
    fn send(
        &self,
        call: UpstreamRequest,
    ) -> BoxFuture<'static, Result<UpstreamResponse, SendError>> {
        let reply = self.reply(&call);
        Box::pin(async move { Ok(reply) })
    }
}
