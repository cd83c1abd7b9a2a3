//! Waiting for a condition, never for a time.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use super::PATIENCE;

/// Completes with `work`, or fails the test when it takes longer than any test may.
pub async fn bounded<T>(what: impl Display, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// Asks again and again until `probe` says yes. For what can only be polled from outside.
pub async fn until<F, Fut>(what: &str, mut probe: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    bounded(what, async {
        while !probe().await {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    })
    .await;
}
