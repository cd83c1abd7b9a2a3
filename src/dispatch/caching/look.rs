//! The look for an answer that was kept: whether a request may be answered so at all, what it is found by, and whether what
//! is there still serves.

use std::sync::Arc;
use std::time::Duration;

use super::found::{FoundAnswer, Looked};
use super::marks::CacheResult;
use super::place::{AskedForm, CachePlace};
use super::state::Caching;
use crate::dispatch::admission::failed;
use crate::dispatch::failed::Failed;
use crate::dispatch::request::Request;
use crate::dispatch::shared::Dispatch;
use crate::domain::caching::{CachePolicy, CacheScope, CacheWhen};
use crate::domain::chain::Chain;
use crate::domain::error_code::ErrorCode;
use crate::store::responses::{KeptAnswer, StoreKey};
use crate::wire::cache_key::{self, KeyParts};
use crate::wire::cache_words::CacheWords;
use crate::wire::cacheable;
use crate::wire::collected::CollectedAnswer;

/// A question whose key is not known yet.
struct NewQuestion {
    quick: u64,
    beside: Vec<u8>,
}

impl Dispatch {
    /// Looks for an answer to a request whose target means `chain`. Nothing is done where nothing is configured.
    ///
    /// # Errors
    /// A header that says nothing.
    pub(in crate::dispatch) async fn look_up(
        &self,
        request: &Request,
        chain: &Chain,
    ) -> Result<Looked, Box<Failed>> {
        let Some(caching) = &self.cache else {
            return Ok(off(request));
        };
        let policy = caching.policy(chain);
        if !policy.enabled && caching.flights().is_none() {
            return Ok(off(request));
        }
        let words = CacheWords::read(&request.headers).map_err(|error| {
            let code = ErrorCode::InvalidRequest;
            Box::new(failed(request, code, error.to_string()))
        })?;
        let (place, new) = match self.place(caching, request, chain, policy, words) {
            Ok(found) => found,
            Err(why) => {
                tracing::debug!(request_id = %request.id, why, "no kept answer serves this request");
                return Ok(match words.only_if_cached {
                    true => Looked::NotCached { why: Some(why) },
                    false => Looked::Bypassed,
                });
            }
        };
        let key = place.key.hash;
        let found = self.kept(place, words).await;
        if let (Looked::Found(_), Some(new)) = (&found, new) {
            let question = cache_key::of(request.doc.body(), &new.beside);
            caching.known_keys.put(new.quick, question, key);
        }
        Ok(match found {
            Looked::Missed(_) if words.only_if_cached => Looked::NotCached { why: None },
            found => found,
        })
    }

    /// Where the answer to a request is kept, or why it is not. With the question, where its key had to be made.
    fn place(
        &self,
        caching: &Arc<Caching>,
        request: &Request,
        chain: &Chain,
        policy: CachePolicy,
        words: CacheWords,
    ) -> Result<(CachePlace, Option<NewQuestion>), &'static str> {
        let (operation, doc) = (request.operation, &request.doc);
        if !cacheable::is_kept(operation) || request.payload.is_some() {
            return Err("operation");
        }
        if words.no_store {
            return Err("no-store");
        }
        if doc.stream() && CollectedAnswer::new(operation).is_none() {
            return Err("stream");
        }
        if !self.is_looked_up(caching, request, chain, &policy, words) {
            return Err("temperature");
        }
        let mut models = chain.upstreams.iter().map(|upstream| &upstream.model);
        if models.any(|model| cacheable::searches(model.as_str())) {
            return Err("search");
        }
        let client = request.client.as_ref().map(|client| &**client.name());
        let (kind, scope) = policy.scope.of(client);
        let hints = request.hints.as_ref();
        let hints = hints.map(|hints| format!("{hints:?}")).unwrap_or_default();
        let unsupported = self.policies.of(&chain.target).unsupported;
        let unsupported = request.unsupported.or(unsupported);
        let beside = cache_key::beside(KeyParts {
            scope: (kind, scope),
            operation,
            target: &chain.target,
            upstreams: &caching.upstreams(chain),
            unsupported: unsupported.map_or("", |word| word.as_str()),
            hints: &hints,
            headers: &request.headers,
        });
        let quick = caching.known_keys.quick(&beside, doc.body());
        let known = (caching.known_keys).get(quick, || cache_key::of(doc.body(), &beside));
        let (key, new) = match known {
            Some(key) => (key, None),
            None => {
                let counted = cache_key::counted(doc.body()).map_err(|_| "body")?;
                if let Some(field) = cacheable::obstacle(operation, doc, &counted) {
                    return Err(field);
                }
                let key = cache_key::of(&counted, &beside);
                (key, Some(NewQuestion { quick, beside }))
            }
        };
        let form = AskedForm {
            operation,
            streams: doc.stream(),
            usage: request.caller().asks_for_usage(doc),
            speed: policy.tokens_per_second.map(|speed| speed.get()),
        };
        let place = CachePlace {
            key: StoreKey {
                hash: key,
                scope: cache_key::scope_hash(scope),
            },
            scope: scope.into(),
            target: Arc::clone(&chain.target),
            form,
            doc: doc.clone(),
            stores: policy.enabled,
            joins: !words.no_cache,
            stale: None,
            caching: Arc::clone(caching),
            policy,
        };
        Ok((place, new))
    }

    /// Whether another answer would be the same, or as good.
    fn is_looked_up(
        &self,
        caching: &Caching,
        request: &Request,
        chain: &Chain,
        policy: &CachePolicy,
        words: CacheWords,
    ) -> bool {
        if policy.when == CacheWhen::Always || cacheable::is_deterministic(request.operation) {
            return true;
        }
        // Whoever shares answers with others may not decide for them.
        if words.force && policy.scope == CacheScope::Client {
            return true;
        }
        match request.doc.temperature() {
            Some(temperature) => temperature == 0.0,
            None => caching.fills_in_zero(chain),
        }
    }

    /// The answer that is kept at a place, if it serves.
    async fn kept(&self, mut place: CachePlace, words: CacheWords) -> Looked {
        let Some(store) = place.caching.store().filter(|_| place.stores) else {
            return Looked::Missed(Box::new(place));
        };
        let found = store.get(place.key).await;
        let Some(kept) = found.as_ref().and_then(KeptAnswer::of_bytes) else {
            return Looked::Missed(Box::new(place));
        };
        let age = CachePlace::age(&kept, self.clock.wall());
        // A time that was shortened since holds for what was kept before, too.
        let ttl = kept.ttl.min(place.policy.ttl);
        let serves = age < ttl && !words.no_cache && is_young(age, ttl, words);
        if let Some(rendered) = serves.then(|| place.form.render(&kept)).flatten() {
            let ttl = ttl.saturating_sub(age);
            return Looked::Found(Box::new(FoundAnswer {
                kept,
                rendered,
                mark: CacheResult::Hit { age, ttl },
            }));
        }
        let may_be_stale = !place.policy.stale_if_error.is_zero();
        if may_be_stale && age < place.stale_ttl(&kept) {
            place.stale = Some(kept);
        }
        Looked::Missed(Box::new(place))
    }
}

/// Whether an answer of that age is young enough for its caller.
fn is_young(age: Duration, ttl: Duration, words: CacheWords) -> bool {
    words.max_age.is_none_or(|most| age <= most)
        && words
            .min_fresh
            .is_none_or(|least| ttl.saturating_sub(age) >= least)
}

/// Where nothing is kept, nothing is asked for a request that wants what is kept.
fn off(request: &Request) -> Looked {
    match CacheWords::read(&request.headers) {
        Ok(words) if words.only_if_cached => Looked::NotCached { why: Some("cache") },
        _ => Looked::Off,
    }
}
