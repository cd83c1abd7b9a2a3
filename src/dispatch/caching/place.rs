//! The place of an answer that is not there yet: what it is kept under, and what is known of who asks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;

use super::marks::CacheResult;
use super::state::Caching;
use crate::domain::caching::CachePolicy;
use crate::domain::dialect::Operation;
use crate::store::responses::{KeptAnswer, StoreKey};
use crate::wire::pieces::ReplayOptions;
use crate::wire::replay;
use crate::wire::request::RequestDoc;

/// Characters of text that are about a token, for answers that are streamed as slowly as a model would.
const TOKEN: usize = 4;

/// The place of the answer to one request.
pub(in crate::dispatch) struct CachePlace {
    pub(super) caching: Arc<Caching>,
    pub(super) key: StoreKey,
    pub(super) policy: CachePolicy,
    pub(super) scope: Arc<str>,
    pub(super) target: Arc<str>,
    pub(super) form: AskedForm,
    pub(super) doc: RequestDoc,
    /// Whether an answer is kept.
    pub(super) stores: bool,
    /// Whether an equal request that is under way may serve it, and it others.
    pub(super) joins: bool,
    /// What serves where no upstream can.
    pub(super) stale: Option<KeptAnswer>,
}

/// In which form the answer is asked for.
#[derive(Clone, Copy, Debug)]
pub(in crate::dispatch) struct AskedForm {
    pub(in crate::dispatch) operation: Operation,
    pub(in crate::dispatch) streams: bool,
    /// Whether token counts are asked for.
    pub(in crate::dispatch) usage: bool,
    /// How fast a kept answer is streamed, in tokens a second.
    pub(in crate::dispatch) speed: Option<u32>,
}

/// A kept answer in the form that is asked for.
#[derive(Debug)]
pub(in crate::dispatch) enum RenderedAnswer {
    /// As a whole.
    Whole(Bytes),
    /// As events, all at once or one each time this span has passed.
    Events(Vec<Bytes>, Option<Duration>),
}

impl AskedForm {
    /// That answer in this form; `None` where it cannot be.
    pub(super) fn render(&self, kept: &KeptAnswer) -> Option<RenderedAnswer> {
        let wants_usage = !self.streams || self.usage;
        if wants_usage && !kept.has_usage {
            return None;
        }
        if !self.streams {
            return Some(RenderedAnswer::Whole(kept.body.clone()));
        }
        let options = ReplayOptions {
            usage: self.usage,
            piece: self.speed.map_or(usize::MAX, |_| TOKEN),
        };
        let events = replay::events(self.operation, &kept.body, options)?;
        let every = self
            .speed
            .map(|speed| Duration::from_secs(1) / speed.max(1));
        Some(RenderedAnswer::Events(events, every))
    }
}

impl CachePlace {
    /// Whether an answer to it is kept.
    pub(in crate::dispatch) fn stores(&self) -> bool {
        self.stores
    }

    /// Whether an equal request that is under way may serve it, or it others.
    pub(in crate::dispatch) fn is_shared(&self) -> bool {
        self.joins && self.caching.flights().is_some()
    }

    /// What its answer says of the look for one.
    pub(in crate::dispatch) fn missed(&self) -> CacheResult {
        CacheResult::Miss {
            asked: !self.joins,
            stored: false,
        }
    }

    /// Until which age a kept answer serves where no upstream can.
    pub(super) fn stale_ttl(&self, kept: &KeptAnswer) -> Duration {
        let ttl = kept.ttl.min(self.policy.ttl);
        ttl.saturating_add(self.policy.stale_if_error)
    }

    /// How old a kept answer is.
    pub(super) fn age(kept: &KeptAnswer, now: SystemTime) -> Duration {
        now.duration_since(kept.stored).unwrap_or_default()
    }
}

/// The content type of an answer with these headers.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    let kind = headers.get(http::header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    kind.unwrap_or("application/json").to_owned()
}
