//! What an upstream's error answer means: one of our classes, a hint when to come back, and words.
//!
//! The first step that knows wins: whether one request is larger than a limit, by its numbers; what the error says, in
//! the provider's own table and then in the common one; whether an API answered at all; a status that means something
//! special at this provider; the status as everywhere. A text never overrides a code, since one phrase means different
//! things at different providers.

mod detail;
mod output;
mod size;
pub(super) mod tables;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::LazyLock;
use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use regex::bytes::{Regex, RegexBuilder};

use super::encoding::whole::readable;
use super::error_doc::{Doc, ErrorField};
use super::inspection::ErrorDoc;
use super::{providers, ratelimit};
use crate::domain::dialect::Operation;
use crate::domain::outcome::{Class, Failure};

/// Classifies an answer that is not a 2xx.
///
/// `kind` is the kind of provider (`config::hosts`), empty when unknown; the body may still be
/// compressed; `operation` is what was asked for; `wall_now` is the time of the answer, against which dates in it are measured. For an exhausted
/// quota the hint is the moment its allowance returns, if the answer tells; a short-lived limit's reset is not.
pub fn classify(
    kind: &str,
    operation: Operation,
    status: u16,
    headers: &HeaderMap,
    body: &Bytes,
    wall_now: SystemTime,
) -> Failure {
    let body = readable(headers, body);
    let doc = Doc::read(headers, &body);
    let known = class_of(kind, operation, Some(status), &doc);
    failure(kind, known, Some(status), &doc, headers, &body, wall_now)
}

/// Classifies an error found inside a 2xx: in a stream's event or in a whole body.
///
/// Its status is the one it came with, else one that its body names; without any, only what it says counts,
/// and what says nothing known is [`Class::Transient`].
pub fn classify_inband(
    kind: &str,
    error: &ErrorDoc,
    headers: &HeaderMap,
    wall_now: SystemTime,
) -> Failure {
    let body = readable(headers, &error.body);
    let doc = Doc::read(headers, &body);
    let status = error
        .status
        .filter(|status| *status >= 400)
        .or(doc.status());
    // What is no API sends no errors inside a 2xx: the operation decides nothing.
    let known = class_of(kind, Operation::Chat, status, &doc);
    failure(kind, known, status, &doc, headers, &body, wall_now)
}

/// The words for an error answer whose body is this, inflated and without credentials: what [`Failure::detail`] says.
pub fn words(status: Option<u16>, headers: &HeaderMap, body: &[u8]) -> String {
    detail::detail(status, &Doc::read(headers, body))
}

/// Whether the errors of this kind of provider are known.
pub fn knows(kind: &str) -> bool {
    providers::traits_of(kind).errors.is_some()
}

/// A class, as far as it is known.
#[derive(Clone, Copy)]
struct ClassVerdict {
    class: Class,
    /// Not for a 403 that says nothing known: it may be a firewall's.
    certain: bool,
}

impl From<Class> for ClassVerdict {
    /// A class that the answer names.
    fn from(class: Class) -> Self {
        Self {
            class,
            certain: true,
        }
    }
}

fn class_of(kind: &str, operation: Operation, status: Option<u16>, doc: &Doc) -> ClassVerdict {
    let foreign = status.filter(|status| is_foreign(*status, doc));
    let foreign = foreign.map(|status| class_of_foreign(operation, status));
    let page = doc.first(ErrorField::Body) == Some("html");
    if let Some(class) = foreign.filter(|_| page) {
        return class.into();
    }
    if size::exceeded_limit(status, doc).is_some() {
        return Class::TooLargeForLimit.into();
    }
    if output::limit(status, doc).is_some() {
        return Class::Unsupported.into();
    }
    let own = providers::traits_of(kind).errors;
    let said = own
        .and_then(|table| table.by_facts(status, doc))
        .or_else(|| match status {
            None => tables::STATUSLESS.by_facts(None, doc),
            Some(_) => None,
        })
        .or_else(|| tables::COMMON.by_facts(status, doc))
        .or(foreign)
        .or_else(|| (page && status == Some(400)).then_some(Class::Unsupported))
        .or_else(|| {
            (status == Some(501) && operation != Operation::Chat).then_some(Class::NotOffered)
        })
        .or_else(|| own?.by_status(status?));
    match said {
        // Many a server has words of its own for a prompt that is too long, and a type that says nothing.
        Some(Class::CallerFault) | None
            if matches!(status, Some(400 | 413 | 422)) && size::exceeded_window(doc).is_some() =>
        {
            Class::ContextOverflow.into()
        }
        Some(Class::ModelGone) if may_be_the_operation(operation, doc) => Class::NotOffered.into(),
        Some(class) => class.into(),
        None => ClassVerdict {
            class: status.map_or(Class::Transient, by_status),
            certain: status != Some(403),
        },
    }
}

/// Words about a model that does not exist, or does not do what it was asked for.
static DOES_NOT_DO: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = r"\bnot (currently |yet )?(supported|available|allowed)\b|\bunsupported\b|\binvalid model\b|\bnot a valid model\b";
    RegexBuilder::new(words)
        .unicode(false)
        .case_insensitive(true)
        .build()
        .ok()
});

/// Whether the error may be about the operation rather than the model: many providers answer a request for embeddings
/// from a chat model as if the model were unknown.
fn may_be_the_operation(operation: Operation, doc: &Doc) -> bool {
    let regex = DOES_NOT_DO.as_ref();
    operation != Operation::Chat && regex.is_some_and(|regex| regex.is_match(doc.text().as_bytes()))
}

/// What it means that no API answered. Every upstream has chat, so where that is missing something restarts or is in the
/// way. Other operations are missing at many for good, which says nothing about their chat.
fn class_of_foreign(operation: Operation, status: u16) -> Class {
    match status {
        404 | 405 if operation != Operation::Chat => Class::NotOffered,
        _ => Class::Transient,
    }
}

/// Whether something that is no API of a provider answered in its place: a proxy, an ingress, a firewall. Its 4xx says
/// nothing about the request, the key or the model. Statuses that mean the same from anyone are left alone.
fn is_foreign(status: u16, doc: &Doc) -> bool {
    let page = doc.first(ErrorField::Body) == Some("html");
    match status {
        400 | 408 | 411 | 413 | 414 | 415 | 422 | 425 | 429 | 431 | 498 => false,
        // Servers without much of an API say "Unauthorized" in plain text.
        401 | 402 => page,
        400..500 => !doc.is_of_an_api(),
        _ => false,
    }
}

/// What a status means where nothing more is known.
fn by_status(status: u16) -> Class {
    match status {
        401 | 403 => Class::InvalidKey,
        402 => Class::QuotaExhausted,
        // A proxy's, a failed dependency's, a connection's: none is about the request.
        407 | 408 | 421 | 424 | 425 | 499 => Class::Transient,
        410 => Class::ModelGone,
        429 => Class::RateLimited,
        498 | 503 | 529 => Class::Overloaded,
        400..500 => Class::CallerFault,
        100..400 => Class::Malformed,
        _ => Class::Transient,
    }
}

fn failure(
    kind: &str,
    known: ClassVerdict,
    status: Option<u16>,
    doc: &Doc,
    headers: &HeaderMap,
    body: &[u8],
    wall_now: SystemTime,
) -> Failure {
    let class = match known.class {
        // A limit that says for hours or days why is not one per minute: it lasts as long as it says.
        Class::RateLimited if ratelimit::is_allowance(kind, headers, doc, wall_now) => {
            Class::QuotaExhausted
        }
        other => other,
    };
    let retry_after = match class {
        Class::QuotaExhausted => ratelimit::quota_reset(kind, doc.text(), headers, body, wall_now),
        _ => ratelimit::retry_after(kind, headers, body, wall_now),
    };
    Failure {
        class,
        status,
        remedy: output::remedy(class, status, doc),
        retry_after,
        certain: known.certain,
        window: (class == Class::ContextOverflow)
            .then(|| size::window(doc))
            .flatten(),
        limit: (class == Class::TooLargeForLimit)
            .then(|| size::exceeded_limit(status, doc))
            .flatten(),
        unsent: false,
        detail: detail::detail(status, doc),
    }
}
