//! An upstream that fails on purpose and answers late, before anything goes over the network: the
//! `mock_failure_rate` and `mock_latency` of any provider.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};

use super::{SendError, Transport, UpstreamRequest, UpstreamResponse};

/// Wraps an upstream with simulated failures.
pub struct Mocked<U> {
    inner: U,
    name: String,
    failure_rate: f64,
    latency: Duration,
    seed: u64,
    calls: AtomicU64,
}

impl<U> Mocked<U> {
    /// `failure_rate` is the share of calls that fail, 0..=1; the same `seed` fails the same calls.
    pub fn new(inner: U, name: &str, failure_rate: f64, latency: Duration, seed: u64) -> Self {
        Self {
            inner,
            name: name.to_owned(),
            failure_rate,
            latency,
            seed,
            calls: AtomicU64::new(0),
        }
    }

    fn fails(&self) -> bool {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        // One generator per call: calls at the same time share no state, and the sequence is the seed's.
        let mut random = fastrand::Rng::with_seed(
            self.seed
                .wrapping_add(call.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        );
        random.f64() < self.failure_rate
    }
}

impl<U: Transport> Transport for Mocked<U> {
    fn send(
        &self,
        call: UpstreamRequest,
    ) -> BoxFuture<'static, Result<UpstreamResponse, SendError>> {
        let latency = self.latency;
        let answer = if self.fails() {
            let message = format!("Provider {} simulated failure", self.name);
            let reply = failure(&message);
            Box::pin(async move { Ok(reply) })
        } else {
            self.inner.send(call)
        };
        if latency.is_zero() {
            return answer;
        }
        Box::pin(async move {
            tokio::time::sleep(latency).await;
            answer.await
        })
    }
}

fn failure(message: &str) -> UpstreamResponse {
    let body = serde_json::json!({
        "error": {"message": message, "type": "server_error", "code": "simulated_failure", "param": null}
    });
    let body = Bytes::from(body.to_string());
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    UpstreamResponse {
        status: 503,
        headers,
        body: futures_util::stream::iter([Ok(body)]).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fine;

    impl Transport for Fine {
        fn send(
            &self,
            _call: UpstreamRequest,
        ) -> BoxFuture<'static, Result<UpstreamResponse, SendError>> {
            let reply = UpstreamResponse {
                status: 200,
                headers: HeaderMap::new(),
                body: futures_util::stream::empty().boxed(),
            };
            Box::pin(async move { Ok(reply) })
        }
    }

    async fn statuses(rate: f64, seed: u64) -> Vec<u16> {
        let mocked = Mocked::new(Fine, "p", rate, Duration::ZERO, seed);
        let mut seen = Vec::new();
        for _ in 0..40 {
            let call = UpstreamRequest {
                method: http::Method::POST,
                model: crate::domain::ids::ModelName::from("m"),
                signing: None,
                path: "/chat/completions".into(),
                passed: false,
                headers: HeaderMap::new(),
                body: Bytes::new().into(),
            };
            seen.push(mocked.send(call).await.unwrap().status);
        }
        seen
    }

    #[tokio::test]
    async fn the_same_seed_fails_the_same_calls() {
        let half = statuses(0.5, 7).await;
        assert_eq!(half, statuses(0.5, 7).await);
        assert!(half.contains(&200) && half.contains(&503));
        assert!(statuses(0.0, 7).await.iter().all(|status| *status == 200));
        assert!(statuses(1.0, 7).await.iter().all(|status| *status == 503));
    }
}
