//! Making an attempt: the call, in one way after another where a provider may know several, and its answer without the
//! credentials that it was made with.

use super::adjust::Adjustments;
use super::{Attempt, AttemptResult, Early, FullResponse, Times};
use crate::actors::lease::Lease;
use crate::dispatch::asked_call::AskedCall;
use crate::dispatch::call_headers::{CallMade, call_of};
use crate::dispatch::native::Way;
use crate::dispatch::redacted;
use crate::dispatch::request::{Endpoint, Request};
use crate::dispatch::unfit;
use crate::domain::dropped::{Dropped, Unsupported};
use crate::domain::outcome::Class;
use crate::wire::exchange::Exchange;

/// Makes the attempt that `lease` allows. `output_room`: the most output that fits beside the prompt, where that is less
/// than is asked for.
pub(in crate::dispatch) async fn make(
    request: &Request,
    endpoint: &Endpoint,
    lease: &Lease,
    times: Times<'_>,
    output_room: Option<u64>,
) -> AttemptResult {
    let own = request.doc_at(endpoint);
    let of_request = AskedCall::of(request, endpoint);
    let asked = AskedCall {
        output_room,
        doc: own.as_ref().unwrap_or(of_request.doc),
        ..of_request
    };
    make_of(asked, request, endpoint, lease, times).await
}

/// Makes it with another body than the caller's, and perhaps at another place of the same provider.
pub(in crate::dispatch) async fn make_of(
    call: AskedCall<'_>,
    request: &Request,
    endpoint: &Endpoint,
    lease: &Lease,
    times: Times<'_>,
) -> AttemptResult {
    let native = &endpoint.native;
    let asked = (endpoint.dialect, request.operation);
    let mut way = native.way(asked, times.clock.now());
    if call.prefill.is_some() && endpoint.dialect.conversation() != Some(request.operation) {
        // Only conversations in the upstream's own form go on from the beginning of an answer.
        way = way.translated();
    }
    let model = &lease.upstream().model;
    let rejects = request.unsupported.unwrap_or(endpoint.unsupported) == Unsupported::Reject;
    let may_change = !rejects && request.payload.is_none() && !request.operation.counts();
    let now = times.clock.now();
    let mut adjusted = Adjustments::known(&call, endpoint, model, may_change, now);
    loop {
        let made = make_call(call, &adjusted, request, endpoint, lease, times, way);
        let (end, has_custom_tools) = made.await;
        let failure = match &end {
            AttemptResult::Failed(failure, _) => Some(failure),
            _ => None,
        };
        let now = times.clock.now();
        if failure.is_some_and(|failure| {
            adjusted.follow(failure, &call, (endpoint, model), may_change, now)
        }) {
            continue;
        }
        match native.next(asked, way, failure, has_custom_tools, times.clock.now()) {
            Some(next) => way = next,
            None => return end,
        }
    }
}

/// Makes the call in this way, and says whether custom tools were in it.
async fn make_call(
    asked: AskedCall<'_>,
    adjusted: &Adjustments,
    request: &Request,
    endpoint: &Endpoint,
    lease: &Lease,
    times: Times<'_>,
    way: Way,
) -> (AttemptResult, bool) {
    let asked = adjusted.call(asked);
    let made = call_of(asked, request, endpoint, lease, times.tried, way);
    let CallMade {
        exchange,
        call,
        mut dropped,
        has_custom_tools,
    } = match made {
        Ok(made) => made,
        Err(unfit) => {
            let (failure, answer) = unfit::refused(&unfit, request, endpoint);
            let answer = FullResponse {
                status: answer.status,
                headers: answer.headers,
                body: answer.body,
                answered: None,
                dropped: Dropped::default(),
            };
            return (AttemptResult::Failed(failure, Some(answer)), false);
        }
    };
    adjusted.note(&mut dropped);
    let attempt = Attempt {
        exchange,
        request,
        wire: asked.wire,
        raw: asked.raw,
        endpoint,
        lease,
        times,
        dropped,
    };
    let timeouts = &endpoint.timeouts;
    // A copy of the request's body, and there is room for the request already.
    let _copy = times.buffers.count(call.body.in_memory());
    let work = async {
        if attempt.is_piped() {
            Box::pin(attempt.pipe(call)).await
        } else if request.doc.stream() {
            Box::pin(attempt.stream(call)).await
        } else {
            let whole = attempt.whole(call);
            attempt.within(timeouts.response, "answer", whole).await
        }
    };
    let end = match work.await {
        Ok(end) => end,
        Err(Early::Failed(failure)) => AttemptResult::Failed(failure, None),
        Err(Early::OutOfTime) => AttemptResult::OutOfTime,
        Err(Early::OutOfRoom) => AttemptResult::OutOfRoom,
    };
    let end = fit(end, exchange, request, lease, endpoint);
    (end, has_custom_tools)
}

/// The same without the credentials of the call; a refusal as the caller reads it.
fn fit(
    end: AttemptResult,
    exchange: Exchange,
    request: &Request,
    lease: &Lease,
    endpoint: &Endpoint,
) -> AttemptResult {
    let redactor = redacted::of(lease, endpoint);
    match end {
        AttemptResult::Failed(failure, whole) => {
            let whole = whole.map(|mut whole| {
                let body = redacted::refusal(&mut whole.headers, whole.body, &redactor);
                let hint = failure.retry_after;
                let headers = &mut whole.headers;
                whole.body = exchange.refusal(whole.status, headers, body, hint, &request.id);
                whole
            });
            let failure = redacted::failure(failure, &redactor);
            if failure.class == Class::NoToken {
                endpoint.tokens.note(&lease.key, &failure.detail);
            }
            AttemptResult::Failed(failure, whole)
        }
        AttemptResult::Whole(mut whole, usage) => {
            redacted::good(&mut whole.headers, &mut whole.answered, &redactor);
            AttemptResult::Whole(whole, usage)
        }
        AttemptResult::Begun(mut begun) => {
            redacted::head(&mut begun.headers, &redactor);
            AttemptResult::Begun(begun)
        }
        AttemptResult::Piped(mut piped) => {
            redacted::head(&mut piped.headers, &redactor);
            AttemptResult::Piped(piped)
        }
        end @ (AttemptResult::OutOfTime | AttemptResult::OutOfRoom) => end,
    }
}
