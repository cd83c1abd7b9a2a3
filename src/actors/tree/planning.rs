//! Asks the router for a plan.

use std::time::Duration;

use tokio::sync::oneshot;

use super::TreeClient;
use crate::actors::message::router::RouterMessage;
use crate::actors::route::{NoAnswer, PlanRequest, Planned};

/// The router answers within moments; one that is down is back within this.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two questions to a router that is down.
const AGAIN: Duration = Duration::from_millis(5);

impl TreeClient {
    /// Where a request would go that came now. Nothing is sent, and nothing changes.
    ///
    /// # Errors
    /// The router is down for longer than 2 s.
    pub async fn plan(&self, request: PlanRequest) -> Result<Planned, NoAnswer> {
        let asking = async {
            loop {
                let (reply, answer) = oneshot::channel();
                let question = RouterMessage::Plan(Box::new(request.clone()), reply);
                let sent = self.router.send(question).is_ok();
                if sent && let Ok(planned) = answer.await {
                    return planned;
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking)
            .await
            .map_err(|_| NoAnswer)
    }
}
