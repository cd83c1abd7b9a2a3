//! The routes: take a request in, hand it to dispatch, write the answer out.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::door::Place;
use super::error::ApiError;
use super::state::{Api, Serving};
use super::{answer_headers, body, keepalive, request_headers};
use crate::dispatch::{self, Answer, AnswerBody};
use crate::domain::dialect::Operation;
use crate::domain::error_code::ErrorCode;
use crate::domain::time::Time;
use crate::telemetry::request_line::{self, RequestLine};
use crate::wire::openai::models;
use crate::wire::openai::request::{RequestDoc, RequestError};

/// What an overloaded or draining process asks callers to wait.
const COME_BACK: Duration = Duration::from_secs(1);

/// `POST` to any of the relayed operations.
pub(super) async fn relay(operation: Operation, api: &Arc<Api>, request: Request) -> Response {
    let id = request_headers::request_id(request.headers());
    let serving = api.serving();
    let arrived = serving.dispatch.clock.now();
    let response = match admit(
        operation,
        (api, &serving),
        request,
        Arc::clone(&id),
        arrived,
    )
    .await
    {
        Ok((request, place)) => serve(&serving, request, place).await,
        Err(error) => {
            tell(operation, &serving, &id, arrived, &error);
            error.response(&id)
        }
    };
    tagged(response, &id)
}

/// The log's line for a request that dispatch never hears of: what it asks for is not known.
fn tell(operation: Operation, serving: &Serving, id: &str, arrived: Time, error: &ApiError) {
    request_line::emit(&RequestLine {
        id,
        operation,
        stream: false,
        target: "",
        outcome: error.code.as_str(),
        status: Some(error.code.status()),
        attempts: &[],
        started: arrived,
        prompt_tokens: None,
        completion_tokens: None,
        total: serving.dispatch.clock.now().since(arrived),
        first_token: None,
    });
}

fn tagged(mut response: Response, id: &str) -> Response {
    answer_headers::tag(response.headers_mut(), id);
    response
}

/// Everything that can be refused before dispatch hears of it.
async fn admit(
    operation: Operation,
    (api, serving): (&Api, &Serving),
    request: Request,
    id: Arc<str>,
    arrived: Time,
) -> Result<(dispatch::Request, Place), ApiError> {
    if api.halt.is_on() {
        return Err(draining());
    }
    let Some(place) = api.door.enter() else {
        let message = "too many requests are under way (server.max_in_flight): retry later";
        return Err(ApiError::new(ErrorCode::Overloaded, message).retry_after(COME_BACK));
    };
    let (head, body) = request.into_parts();
    let deadline = request_headers::deadline(&head.headers)?;
    let await_cooldown = request_headers::await_cooldown(&head.headers)?;
    let reading = body::read(body, serving.max_body, serving.body_timeout);
    let longest = serving.dispatch.policy.deadline;
    let until = arrived + deadline.map_or(longest, |asked| asked.min(longest));
    let body = tokio::select! {
        biased;
        body = reading => body?,
        () = serving.dispatch.clock.sleep_until(until) => return Err(body::late()),
        () = api.halt.wait() => return Err(draining()),
    };
    let doc = RequestDoc::parse(body).map_err(|error| {
        let code = match error {
            RequestError::InvalidJson { .. } => ErrorCode::InvalidJson,
            _ => ErrorCode::InvalidRequest,
        };
        ApiError::new(code, error.to_string())
    })?;
    let request = dispatch::Request {
        id,
        operation,
        arrived,
        doc,
        headers: head.headers,
        deadline,
        await_cooldown,
    };
    Ok((request, place))
}

fn draining() -> ApiError {
    let message = "this process is shutting down: ask another";
    ApiError::new(ErrorCode::Draining, message).retry_after(COME_BACK)
}

async fn serve(serving: &Serving, request: dispatch::Request, place: Place) -> Response {
    let id = Arc::clone(&request.id);
    let keepalive = serving.stream_keepalive.filter(|_| request.doc.stream());
    let Some(every) = keepalive else {
        return match serving.dispatch.run(request).await {
            Ok(answer) => write(answer, place),
            Err(failed) => ApiError::from(*failed).response(&id),
        };
    };
    let operation = request.operation;
    let dispatch = Arc::clone(&serving.dispatch);
    let mut running = Box::pin(async move { dispatch.run(request).await });
    tokio::select! {
        biased;
        result = &mut running => match result {
            Ok(answer) => write(answer, place),
            Err(failed) => ApiError::from(*failed).response(&id),
        },
        () = tokio::time::sleep(every) => {
            let body = keepalive::body(operation, id, running, every, place);
            events(Body::from_stream(body), HeaderMap::new())
        }
    }
}

fn events(body: Body, mut headers: HeaderMap) -> Response {
    headers
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("text/event-stream"));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    // What came compressed was looked at, and goes on plain.
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

fn write(mut answer: Answer, place: Place) -> Response {
    let mut headers = std::mem::take(&mut answer.headers);
    answer_headers::describe(&mut headers, &answer.upstream, &answer.key, answer.attempts);
    match answer.body {
        AnswerBody::Full(body) => {
            headers.remove(header::CONTENT_LENGTH);
            let mut response = Response::new(Body::from(body));
            *response.status_mut() =
                StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
            *response.headers_mut() = headers;
            response
        }
        AnswerBody::Stream(relay) => {
            let body = relay.map(move |chunk| {
                // The place is taken until the stream ends or is dropped.
                let _ = &place;
                chunk
            });
            events(Body::from_stream(body), headers)
        }
    }
}

/// `GET /v1/models`.
pub(super) async fn models(State(api): State<Arc<Api>>, request: Request) -> Response {
    json(
        &request,
        StatusCode::OK,
        models::list(&api.serving().models),
    )
}

/// `GET /v1/models/{id}`.
pub(super) async fn model(
    State(api): State<Arc<Api>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    // What is not UTF-8 is no model's name either, and is named as it was written.
    let name = name.map_or_else(
        |_| {
            let path = request.uri().path();
            path.split_once("/models/")
                .map_or(path, |(_, name)| name)
                .to_owned()
        },
        |Path(name)| name,
    );
    let serving = api.serving();
    match serving.models.iter().find(|entry| entry.id == name) {
        Some(entry) => json(&request, StatusCode::OK, models::single(entry)),
        None => {
            let message = format!("there is no model `{name}`: GET /v1/models lists them");
            refuse(&request, &ApiError::new(ErrorCode::ModelNotFound, message))
        }
    }
}

/// Anything else.
pub(super) async fn unknown_route(request: Request) -> Response {
    let message = format!(
        "there is no route {} {}",
        request.method(),
        request.uri().path()
    );
    refuse(&request, &ApiError::new(ErrorCode::RouteNotFound, message))
}

/// A route that exists, by another method.
pub(super) async fn wrong_method(request: Request) -> Response {
    let message = format!(
        "{} does not take {}",
        request.uri().path(),
        request.method()
    );
    refuse(
        &request,
        &ApiError::new(ErrorCode::MethodNotAllowed, message),
    )
}

fn refuse(request: &Request, error: &ApiError) -> Response {
    let id = request_headers::request_id(request.headers());
    tagged(error.response(&id), &id)
}

fn json(request: &Request, status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    tagged(response, &request_headers::request_id(request.headers()))
}
