//! Requests that are not given to upstreams: because an answer is there, or because nothing else is wanted or allowed.

use std::sync::Arc;

use super::found::{FoundAnswer, Looked};
use crate::dispatch::admission::{Admitted, NotAdmitted};
use crate::dispatch::answer::ProxyResponse;
use crate::dispatch::failed::Failed;
use crate::dispatch::request::Request;
use crate::dispatch::request_run::RequestRun;
use crate::dispatch::shared::Dispatch;
use crate::domain::attempt_record::CacheLookup;
use crate::domain::time::Time;

impl Dispatch {
    /// A request that may not be served is served all the same where only its client's tokens are used up, and an answer is
    /// kept, which takes none.
    pub(in crate::dispatch) async fn serve_refused(
        self: &Arc<Self>,
        request: Request,
        mut refused: NotAdmitted,
        complete: Time,
    ) -> Result<ProxyResponse, Box<Failed>> {
        if let Some(chain) = refused.for_tokens.take()
            && let Ok(Looked::Found(found)) = self.look_up(&request, &chain.chain).await
            && let Ok(charge) = self.charged(&request, 0)
        {
            let admitted = Admitted {
                target: refused.target,
                chain,
                charge,
                budgeted: None,
                lookup: CacheLookup::Off,
            };
            return Ok(self.serve_kept(request, admitted, complete, *found));
        }
        Err(self.tell_refused(request, refused, complete))
    }

    /// A request that was admitted ends with an error before anything is tried: it takes no tokens.
    pub(in crate::dispatch) fn turn_down(
        &self,
        request: Request,
        mut admitted: Admitted,
        failed: Failed,
        complete: Time,
    ) -> Box<Failed> {
        if let Some(charge) = admitted.charge.take() {
            charge.reservation.settle(Some(0), self.clock.now());
        }
        let refused = NotAdmitted::new(admitted.target, failed);
        self.tell_refused(request, *refused, complete)
    }

    /// Serves a request by what was found.
    pub(in crate::dispatch) fn serve_kept(
        self: &Arc<Self>,
        request: Request,
        admitted: Admitted,
        complete: Time,
        found: FoundAnswer,
    ) -> ProxyResponse {
        RequestRun::new(self, request, admitted, complete).serve_found(found)
    }
}
