//! A stream whose first content takes long: the 200 goes out at once and comment lines keep proxies awake,
//! while dispatch stays free to fail over. What would have been an error answer becomes an error event.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::admission_limit::AdmissionPermit;
use super::error::ApiError;
use crate::dispatch::{AnswerBody, Failed, ProxyResponse};
use crate::domain::dialect::Operation;
use crate::domain::error_code;
use crate::wire::dialects;
use crate::wire::error_body::Trouble;
use crate::wire::progress::Progress;

/// The events of an answer.
type AnswerEvents = Pin<Box<dyn Stream<Item = Result<Bytes, Infallible>> + Send>>;
type Running = Pin<Box<dyn Future<Output = Result<ProxyResponse, Box<Failed>>> + Send>>;

enum KeepalivePhase {
    Waiting(Running),
    Relaying(AnswerEvents),
    Ended,
}

/// The body of such a stream: comments, then the answer's events or an error event.
pub(super) fn body(
    operation: Operation,
    id: Arc<str>,
    running: Running,
    every: Duration,
    place: AdmissionPermit,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let first = stream::iter([Ok(comment())]);
    let rest = stream::unfold(
        (KeepalivePhase::Waiting(running), place),
        move |(phase, place)| {
            let id = Arc::clone(&id);
            async move {
                let (bytes, phase) = step(phase, operation, &id, every).await?;
                Some((Ok(bytes), (phase, place)))
            }
        },
    );
    first.chain(rest)
}

fn comment() -> Bytes {
    Bytes::from_static(b": keep-alive\n\n")
}

async fn step(
    phase: KeepalivePhase,
    operation: Operation,
    id: &str,
    every: Duration,
) -> Option<(Bytes, KeepalivePhase)> {
    match phase {
        KeepalivePhase::Waiting(mut running) => {
            let result = tokio::select! {
                biased;
                result = &mut running => result,
                () = tokio::time::sleep(every) => return Some((comment(), KeepalivePhase::Waiting(running))),
            };
            // The 200 has gone out: an error can only be an event now.
            let nothing = Progress::default();
            let caller = dialects::caller(operation);
            match result {
                Ok(answer) => match answer.body {
                    AnswerBody::Stream(relay) => relaying(relay.boxed()).await,
                    AnswerBody::Told(told) => relaying(told.boxed()).await,
                    // Answers of such operations are not kept alive by comments.
                    AnswerBody::Piped(_) => None,
                    AnswerBody::Full(body) => {
                        let kind = error_code::kind_of(answer.status);
                        let event =
                            caller.error_event_from_body(operation, &body, kind, id, &nothing);
                        Some((event, KeepalivePhase::Ended))
                    }
                },
                Err(failed) => {
                    let error = ApiError::from(*failed);
                    let trouble = Trouble {
                        message: &error.message,
                        kind: error.code.kind(),
                        code: error.code.as_str(),
                    };
                    let event = caller.error_event(operation, trouble, id, &nothing);
                    Some((event, KeepalivePhase::Ended))
                }
            }
        }
        KeepalivePhase::Relaying(relay) => relaying(relay).await,
        KeepalivePhase::Ended => None,
    }
}

async fn relaying(mut relay: AnswerEvents) -> Option<(Bytes, KeepalivePhase)> {
    let Ok(bytes) = relay.next().await?;
    Some((bytes, KeepalivePhase::Relaying(relay)))
}
