//! The routes: take a request in, hand it to dispatch, write the answer out.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::admission_limit::{AdmissionPermit, COME_BACK};
use super::error::ApiError;
use super::event_list;
use super::identity::identify;
use super::respond::{events, write};
use super::routed::Routed;
use super::state::{Api, Serving};
use super::upload::{self, UploadLimits};
use super::{answer_headers, body, count, keepalive, request_headers, retired};
use crate::access::Client;
use crate::dispatch::{self, Payload};
use crate::domain::attempt_record::CacheLookup;
use crate::domain::dialect::{BodyForm, Operation};
use crate::domain::dropped::Dropped;
use crate::domain::error_code::ErrorCode;
use crate::domain::time::Time;
use crate::domain::trace::TraceContext;
use crate::runtime::clock::Until;
use crate::telemetry::request_record::RequestRecord;
use crate::wire::dialects;
use crate::wire::encoding;
use crate::wire::request::RequestError;

/// `POST` to any of the relayed operations.
pub(super) async fn relay(operation: Operation, api: &Arc<Api>, request: Request) -> Response {
    let id = request_headers::request_id(request.headers());
    let serving = api.serving();
    let arrived = serving.dispatch.clock.now();
    let trace = request_headers::trace(&request, &serving.dispatch.recorder);
    let mut client = None;
    let caller = Caller {
        id: &id,
        client: &mut client,
        trace: trace.as_ref(),
        arrived,
    };
    let (head, mut body) = request.into_parts();
    let asks = asks_first(&head.headers);
    let routed = Routed::read(&head.uri);
    let admitted = admit(
        operation,
        routed.as_ref(),
        api,
        &serving,
        head,
        &mut body,
        caller,
    )
    .await;
    let response = match admitted {
        Ok((request, place)) => {
            let until = Until(serving.dispatch.clock.instant(request.deadline));
            let mut response = serve(&serving, request, place).await;
            response.extensions_mut().insert(until);
            match routed.is_some_and(|routed| routed.listed) {
                true => event_list::listed(response),
                false => response,
            }
        }
        Err(error) => {
            let client = client.as_deref();
            record_refusal(operation, &serving, &id, client, trace, arrived, &error);
            if !asks {
                body::discard(body);
            }
            error.response(&id, dialects::caller(operation))
        }
    };
    tagged(response, &id)
}

/// Whether the client sends the body only when asked (`Expect: 100-continue`): a refused client is not asked.
pub(super) fn asks_first(headers: &HeaderMap) -> bool {
    headers.contains_key(header::EXPECT)
}

/// Whose request it is, and since when.
pub(super) struct Caller<'a> {
    pub(super) id: &'a Arc<str>,
    /// Filled in when it is known.
    pub(super) client: &'a mut Option<Arc<Client>>,
    pub(super) trace: Option<&'a Arc<TraceContext>>,
    pub(super) arrived: Time,
}

/// Records a request that never reached dispatch, for the log; its target is unknown.
pub(super) fn record_refusal(
    operation: Operation,
    serving: &Serving,
    id: &Arc<str>,
    client: Option<&Client>,
    trace: Option<Arc<TraceContext>>,
    arrived: Time,
    error: &ApiError,
) {
    let dispatch = &serving.dispatch;
    dispatch.recorder.turned_away(RequestRecord {
        id: Arc::clone(id),
        client: client.map(|client| Arc::clone(client.name())),
        operation,
        stream: false,
        target: String::new(),
        chain: None,
        routing: None,
        outcome: if error.caller_left {
            "caller_left"
        } else {
            error.code.as_str()
        },
        status: (!error.caller_left).then(|| error.code.status()),
        attempts: Vec::new(),
        refused: None,
        lookup: CacheLookup::Off,
        saved: None,
        rescue_obstacles: Vec::new(),
        started: arrived,
        complete: arrived,
        ended: dispatch.clock.now(),
        first_token: None,
        usage: None,
        trace,
    });
}

pub(super) fn tagged(mut response: Response, id: &str) -> Response {
    answer_headers::tag(response.headers_mut(), id);
    response
}

/// All checks before the request reaches dispatch.
async fn admit(
    operation: Operation,
    routed: Option<&Routed>,
    api: &Api,
    serving: &Serving,
    head: Parts,
    body: &mut Body,
    caller: Caller<'_>,
) -> Result<(dispatch::Request, AdmissionPermit), ApiError> {
    if api.abort.is_on() {
        return Err(draining());
    }
    // What the head tells is checked before the body is read, which costs memory and time.
    let client = identify(serving, &head.uri, &head.headers)?;
    caller.client.clone_from(&client);
    let clock = serving.dispatch.clock;
    let reads = api.admission.look(client.as_deref(), clock.now())?;
    let patience = request_headers::patience(&head.headers)?;
    let await_cooldown = request_headers::await_cooldown(&head.headers)?;
    let unsupported = request_headers::unsupported(&head.headers)?;
    let affinity = request_headers::affinity(&head.headers)?;
    // The deadline is not known before the body is, since only the body says whether a stream is asked for: the shorter
    // one bounds the reading.
    let reading = read(operation, serving, &head.headers, body);
    let policy = &serving.dispatch.policy;
    let until = policy.deadline_of(caller.arrived, patience.shorter());
    let (body, payload) = tokio::select! {
        biased;
        read = reading => read?,
        () = clock.sleep_until(until) => return Err(body::late()),
        () = async { api.abort.waiting().await } => return Err(draining()),
    };
    // Not before the body is there: a slow body must not take a place from others.
    let place = api.admission.enter(client.as_deref(), clock.now())?;
    drop(reads);
    let doc = dialects::caller(operation)
        .parse(operation, body)
        .and_then(|doc| match routed {
            Some(Routed { model, stream, .. }) => doc.routed(model, *stream),
            None => Ok(doc),
        })
        .map_err(|error| {
            let code = match error {
                RequestError::InvalidJson { .. } => ErrorCode::InvalidJson,
                _ => ErrorCode::InvalidRequest,
            };
            ApiError::new(code, error.to_string())
        })?;
    let (deadline, silence) = if doc.stream() {
        (
            policy.deadline_of(caller.arrived, patience.whole),
            patience.silence,
        )
    } else {
        (until, None)
    };
    // Comments are bytes too: where they come in time the caller does not hang up before the answer begins.
    let comments = serving.stream_keepalive;
    let begins_within = silence.filter(|span| comments.is_none_or(|every| every >= *span));
    let request = dispatch::Request {
        id: Arc::clone(caller.id),
        operation,
        arrived: caller.arrived,
        doc,
        headers: head.headers,
        deadline,
        begins_within,
        silence,
        // Nobody waits for a count: it can be made here.
        await_cooldown: match operation.counts() {
            true => Some(Duration::ZERO),
            false => await_cooldown,
        },
        client,
        unsupported,
        affinity,
        fetched: false,
        left_out: Dropped::default(),
        hints: None,
        payload,
        trace: caller.trace.cloned(),
    };
    Ok((request, place))
}

/// The JSON of a request, and what else it carries.
async fn read(
    operation: Operation,
    serving: &Serving,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<(Bytes, Option<Payload>), ApiError> {
    let codings = encoding::codings(headers)
        .map_err(|error| ApiError::new(ErrorCode::UnsupportedEncoding, error.to_string()))?;
    let buffers = &serving.dispatch.buffers;
    let takes_forms = operation.body() == BodyForm::Form;
    if let Some(boundary) = upload::boundary(headers).filter(|_| takes_forms) {
        if !codings.is_empty() {
            let message = "forms must not be compressed";
            return Err(ApiError::new(ErrorCode::UnsupportedEncoding, message));
        }
        let limits = UploadLimits {
            spool: serving.spool,
            pause: serving.body_timeout,
        };
        // Boxed: most requests are no forms.
        let reading = upload::form(body, headers, boundary?, limits, buffers);
        let (fields, payload) = Box::pin(reading).await?;
        return Ok((fields, Some(payload)));
    }
    let (max, pause) = (serving.max_body, serving.body_timeout);
    let body = body::read(body, &codings, max, pause, buffers).await?;
    Ok((body, None))
}

pub(super) fn draining() -> ApiError {
    let message = "this process is shutting down: ask another";
    ApiError::new(ErrorCode::Draining, message).retry_after(COME_BACK)
}

async fn serve(serving: &Serving, request: dispatch::Request, place: AdmissionPermit) -> Response {
    if request.operation.counts() {
        // In a box of its own: the future of every other request stays as small as it is without.
        return Box::pin(count::serve(serving, request, place)).await;
    }
    let id = Arc::clone(&request.id);
    let operation = request.operation;
    // Comments have no place in what is not looked at.
    let looked_at = request.doc.stream() && operation.body() == BodyForm::Json;
    let keepalive = serving.stream_keepalive.filter(|_| looked_at);
    let Some(every) = keepalive else {
        return match serving.dispatch.run(request).await {
            Ok(answer) => write(answer, place),
            Err(failed) => ApiError::from(*failed).response(&id, dialects::caller(operation)),
        };
    };
    let operation = request.operation;
    let dispatch = Arc::clone(&serving.dispatch);
    let mut running = Box::pin(async move { dispatch.run(request).await });
    tokio::select! {
        biased;
        result = &mut running => match result {
            Ok(answer) => write(answer, place),
            Err(failed) => ApiError::from(*failed).response(&id, dialects::caller(operation)),
        },
        () = tokio::time::sleep(every) => {
            let body = keepalive::body(operation, id, running, every, place);
            events(Body::from_stream(body), HeaderMap::new())
        }
    }
}

/// A connection that is to become a WebSocket: the client is to send a request instead. At once, so that it falls back
/// without delay.
pub(super) fn no_upgrade(request: Request) -> Response {
    let message = format!(
        "{} is not served over WebSocket: send it as a POST over HTTP; answers stream as server-sent events",
        request.uri().path()
    );
    refuse(request, &ApiError::new(ErrorCode::UpgradeRequired, message))
}

/// Any other path.
pub(super) async fn unknown_route(request: Request) -> Response {
    if let Some(now) = retired::successor(request.uri().path()) {
        let message = format!("{} was retired: call {now}", request.uri().path());
        return refuse(request, &ApiError::new(ErrorCode::Retired, message));
    }
    let message = format!(
        "there is no route {} {}",
        request.method(),
        request.uri().path()
    );
    refuse(request, &ApiError::new(ErrorCode::RouteNotFound, message))
}

/// A route that exists, by another method.
pub(super) async fn wrong_method(request: Request) -> Response {
    let message = format!(
        "{} does not take {}",
        request.uri().path(),
        request.method()
    );
    refuse(
        request,
        &ApiError::new(ErrorCode::MethodNotAllowed, message),
    )
}

/// Refuses by the head alone, and logs it where the path is that of an operation.
pub(super) fn turn_away(
    operation: Option<Operation>,
    serving: &Serving,
    request: Request,
    error: &ApiError,
) -> Response {
    if let Some(operation) = operation {
        let id = request_headers::request_id(request.headers());
        let arrived = serving.dispatch.clock.now();
        let trace = request_headers::trace(&request, &serving.dispatch.recorder);
        record_refusal(operation, serving, &id, None, trace, arrived, error);
        let (head, body) = request.into_parts();
        if !asks_first(&head.headers) {
            body::discard(body);
        }
        return tagged(error.response(&id, dialects::caller(operation)), &id);
    }
    refuse(request, error)
}

pub(super) fn refuse(request: Request, error: &ApiError) -> Response {
    let (head, body) = request.into_parts();
    if !asks_first(&head.headers) {
        body::discard(body);
    }
    let id = request_headers::request_id(&head.headers);
    let caller = dialects::caller_of(head.uri.path(), &head.headers);
    tagged(error.response(&id, caller), &id)
}

pub(super) fn json(request: &Request, status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    tagged(response, &request_headers::request_id(request.headers()))
}
