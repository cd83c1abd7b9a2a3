//! What the router would say to a request that came now.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Router, RouterCore, down};
use crate::actors::inquiry::{CandidateWord, Inquiry, RouterWord};
use crate::actors::message::provider::ProviderMessage;
use crate::domain::refusal::{Reason, Refusal};

impl Router {
    /// Hands the question on to the provider of each candidate, whatever the ones before it say.
    pub(super) fn explain(
        &self,
        core: &RouterCore,
        inquiry: &Arc<Inquiry>,
        reply: oneshot::Sender<RouterWord>,
    ) {
        let (now, table) = (self.clock.now(), self.table.load());
        let (class, generation) = (inquiry.standing.priority, inquiry.generation);
        let candidates = inquiry.chain.upstreams.iter().enumerate();
        let candidates = candidates.map(|(at, upstream)| {
            let (tell, answer) = oneshot::channel();
            let provider = match table.providers.get(&upstream.provider) {
                None => Err(Refusal::open_ended(Reason::NoKeys)),
                Some(seat) => {
                    let life = seat.cell.life.get();
                    let question = ProviderMessage::Explain {
                        inquiry: Arc::clone(inquiry),
                        at,
                        reply: tell,
                    };
                    let sent = seat.handle.send(question);
                    sent.map(|()| answer).map_err(|_| down(life, now))
                }
            };
            CandidateWord {
                contended: self.obstacle(core, upstream, class, generation, now),
                provider,
            }
        });
        let word = RouterWord {
            candidates: candidates.collect(),
            has_place: core
                .room
                .has_place_for(&inquiry.standing, table.max_waiting),
        };
        // Whoever asked may have given up.
        let _ = reply.send(word);
    }
}
