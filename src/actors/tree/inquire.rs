//! Asks the actors what a request would hear, and puts their answers together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Dispatcher;
use crate::actors::inquiry::{
    CandidateWord, Heard, Inquiry, KeyWord, NoAnswer, ProviderWord, Told,
};
use crate::actors::message::router::RouterMessage;
use crate::actors::provider::RESTART_POLL;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::Time;

/// Actors answer within moments; a router that is down is back within this.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two questions to a router that is down.
const AGAIN: Duration = Duration::from_millis(5);

impl Dispatcher {
    /// What the actors would say to a request that came now. Nothing is sent, and nothing changes.
    ///
    /// # Errors
    /// The router is down for longer than 2 s.
    pub async fn inquire(&self, inquiry: Inquiry) -> Result<Told, NoAnswer> {
        let inquiry = Arc::new(inquiry);
        let asking = async {
            loop {
                let (reply, answer) = oneshot::channel();
                let question = RouterMessage::Explain(Arc::clone(&inquiry), reply);
                let sent = self.router.send(question).is_ok();
                if sent && let Ok(word) = answer.await {
                    let mut candidates = Vec::new();
                    for word in word.candidates {
                        candidates.push(self.heard(word).await);
                    }
                    return Told {
                        at: self.clock.now(),
                        has_place: word.has_place,
                        candidates,
                    };
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking)
            .await
            .map_err(|_| NoAnswer)
    }

    async fn heard(&self, word: CandidateWord) -> Heard {
        let said = match word.provider {
            Ok(answer) => answer.await.map_err(|_| self.lost()),
            Err(refusal) => Err(refusal),
        };
        let (gate, recovery, words) = match said {
            Ok(ProviderWord {
                gate,
                recovery,
                keys,
            }) => (gate, recovery, keys),
            Err(refusal) => (Err(refusal), None, Vec::new()),
        };
        let mut keys = Vec::new();
        for KeyWord { id, answer } in words {
            let said = match answer {
                Ok(answer) => answer.await.unwrap_or_else(|_| Err(self.lost())),
                Err(refusal) => Err(refusal),
            };
            keys.push((id, said));
        }
        Heard {
            gate: word.contended.map_or(gate, Err),
            recovery,
            keys,
        }
    }

    /// Whoever was asked failed over it, or just before.
    fn lost(&self) -> Refusal {
        let soon: Time = self.clock.now() + RESTART_POLL;
        Refusal::until(Reason::Restarting, soon)
    }
}
