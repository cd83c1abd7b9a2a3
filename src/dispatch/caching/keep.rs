//! Answers on their way into the store: only whole ones that ended by themselves, behind the answer to their caller.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderMap;

use super::flight::Flown;
use super::marks::CacheResult;
use super::place::{CachePlace, content_type};
use crate::dispatch::request_run::RequestRun;
use crate::domain::attempt_record::{CacheLookup, SavedByCache};
use crate::domain::dropped::Dropped;
use crate::domain::ids::{KeyId, Upstream};
use crate::runtime::task;
use crate::store::responses::{EntryLabels, KeptAnswer, StoreEntry};
use crate::wire::cacheable;
use crate::wire::collected::CollectedAnswer;
use crate::wire::encoding::whole::readable;

/// Events take more bytes than what they say: of answers whose events take more than so many times what may be kept, no more
/// is collected.
const EVENTS: usize = 64;

/// An answer that goes back.
pub(in crate::dispatch) struct GoneBack<'a> {
    pub(in crate::dispatch) status: u16,
    pub(in crate::dispatch) headers: &'a HeaderMap,
    pub(in crate::dispatch) body: &'a Bytes,
    pub(in crate::dispatch) upstream: &'a Upstream,
    pub(in crate::dispatch) key: &'a KeyId,
    pub(in crate::dispatch) dropped: &'a Dropped,
}

impl RequestRun {
    /// Its answer may be kept there, and be waited for by others (`flown`). Not where it goes to another target than it asked
    /// for.
    pub(in crate::dispatch) fn takes_place(
        &mut self,
        place: Box<CachePlace>,
        flown: Option<Flown>,
    ) {
        self.state.trace.lookup = CacheLookup::Missed;
        let is_own = *place.target == *self.context.chain.target;
        if let Some(flown) = flown {
            self.state.limits.hedge_by = flown.begins_by;
            if !is_own {
                flown.fate.steered();
            }
            self.state.fate = Some(flown.fate);
        }
        self.state.place = Some(place).filter(|_| is_own);
    }

    /// Keeps a whole answer, if it may be kept. Returns what its headers are to say.
    pub(in crate::dispatch) fn keep(&mut self, answer: &GoneBack<'_>) -> Option<CacheResult> {
        let used = self.used();
        let place = self.state.place.take()?;
        let asked = !place.joins;
        let mut stored = false;
        if place.stores && (200..300).contains(&answer.status) {
            let body = readable(answer.headers, answer.body);
            stored = self.put(&place, answer, used, &body);
        }
        Some(CacheResult::Miss { asked, stored })
    }

    /// Keeps a stream that has ended well.
    pub(in crate::dispatch) fn keep_stream(
        &mut self,
        collected: CollectedAnswer,
        (upstream, key): (&Upstream, &KeyId),
        dropped: &Dropped,
    ) {
        let used = self.used();
        let Some(place) = self.state.place.take() else {
            return;
        };
        if collected.bytes() > place.policy.max_entry.saturating_mul(EVENTS) {
            return;
        }
        let Ok((body, losses)) = collected.whole(&place.doc) else {
            return;
        };
        if !losses.is_empty() {
            // What came next would be missing in it.
            return;
        }
        let answer = GoneBack {
            status: 200,
            headers: &HeaderMap::new(),
            body: &body,
            upstream,
            key,
            dropped,
        };
        self.put(&place, &answer, used, &body);
    }

    /// Puts an answer into the store, if it ended by itself and is not too large.
    fn put(
        &self,
        place: &CachePlace,
        answer: &GoneBack<'_>,
        used: SavedByCache,
        body: &Bytes,
    ) -> bool {
        let operation = place.form.operation;
        let fits = body.len() <= place.policy.max_entry;
        if !fits || !cacheable::has_ended(operation, body) {
            return false;
        }
        let Some(store) = place.caching.store() else {
            return false;
        };
        let kept = self.kept_of(place, answer, used, body);
        let entry = StoreEntry {
            bytes: kept.to_bytes(),
            ttl: kept.ttl.saturating_add(place.policy.stale_if_error),
            labels: EntryLabels {
                target: Arc::clone(&place.target),
                scope: Arc::clone(&place.scope),
                stored: seconds(kept.stored),
            },
        };
        let (store, key) = (Arc::clone(store), place.key);
        let mut put: BoxFuture<'static, ()> = Box::pin(async move { store.put(key, entry).await });
        // A store in memory has it at once; no caller waits for another one.
        if (&mut put).now_or_never().is_none() {
            task::detach(put);
        }
        true
    }

    /// What it used, as far as that is known; those who wait for it are told.
    pub(in crate::dispatch) fn used(&mut self) -> SavedByCache {
        if self.state.place.is_none() && self.state.fate.is_none() {
            return SavedByCache::default();
        }
        let used = SavedByCache {
            tokens: self
                .state
                .trace
                .usage
                .and_then(|usage| usage.total())
                .unwrap_or(0),
            cost: self.total_cost().unwrap_or_default(),
        };
        if let Some(fate) = &self.state.fate {
            fate.used(used);
        }
        used
    }

    /// An answer as it is kept or shared.
    pub(super) fn kept_of(
        &self,
        place: &CachePlace,
        answer: &GoneBack<'_>,
        used: SavedByCache,
        body: &Bytes,
    ) -> KeptAnswer {
        KeptAnswer {
            stored: self.context.dispatch.clock.wall(),
            ttl: place.policy.ttl,
            status: answer.status,
            content_type: content_type(answer.headers),
            upstream: answer.upstream.clone(),
            key: answer.key.clone(),
            dropped: answer.dropped.clone(),
            has_usage: cacheable::tells_usage(place.form.operation, body),
            tokens: used.tokens,
            cost: used.cost,
            body: body.clone(),
        }
    }
}

fn seconds(moment: SystemTime) -> u64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
