//! The order of a request's upstreams: what it is like, what is known of them at this moment, and random numbers from one
//! seed, so that the same seed gives the same order again.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::details::CallDetails;
use super::request::Request;
use super::session;
use super::shared::Dispatch;
use super::tokens;
use crate::domain::asked::RequestShape;
use crate::domain::chain::{Chain, PRIORITY, RankedChain};
use crate::domain::cost::expected_cost;
use crate::domain::hint_fields::DataPolicy;
use crate::domain::hints::{HintFacts, Hints, UnitPrices};
use crate::domain::ids::{ProviderName, Upstream};
use crate::domain::money::Pico;
use crate::domain::output_average::usual_output;
use crate::domain::pattern::matches;
use crate::domain::policy::Policy;
use crate::domain::policy::{Signal, TokenPrices, UpstreamFigures};
use crate::domain::session_affinity::AffinityBy;
use crate::domain::spill::TierKeys;
use crate::domain::target::{Inquiry, RankedMember, Ranking, RankingStep};
use crate::domain::unmet::{Features, KnownCapabilities, Unmet};
use crate::wire::needs;

/// Numbers below this are the same in every reader of JSON.
pub(super) const JSON_SAFE: u64 = 1 << 53;

/// The figures for one request.
struct RequestFigures<'a> {
    dispatch: &'a Dispatch,
    asked: &'a RequestShape<'a>,
    /// All that may serve it.
    upstreams: &'a [Upstream],
    /// How long their answers are together, once one of them is to be reckoned by it.
    usual: OnceCell<u64>,
    /// Whether turns are taken: a question about the order takes none.
    takes_turns: bool,
}

impl UpstreamFigures for RequestFigures<'_> {
    fn in_flight(&self, provider: &ProviderName) -> u32 {
        self.dispatch.tree.in_flight(provider)
    }

    fn pending(&self, upstream: &Upstream) -> u32 {
        self.dispatch.routing.pending(upstream)
    }

    fn cost(&self, upstream: &Upstream) -> Option<Pico> {
        let (sheet, _) = self.dispatch.prices.sheet_of(upstream)?;
        let (tree, asked) = (&self.dispatch.tree, self.asked);
        let usual = || usual_output(self.upstreams.iter().map(|one| tree.output_of(one)));
        let usual = || *self.usual.get_or_init(usual);
        let output = tree.output_of(upstream);
        let output = output.expected_beside(usual, asked.output_tokens);
        let since = Duration::from_secs(u64::try_from(asked.unix).unwrap_or(0));
        let at = SystemTime::UNIX_EPOCH.checked_add(since)?;
        expected_cost(&sheet, asked.prompt_tokens, output, at)
    }

    fn token_prices(&self, upstream: &Upstream) -> TokenPrices {
        let prices = self.prices(upstream);
        TokenPrices {
            input: prices.prompt,
            output: prices.completion,
        }
    }

    fn latency(&self, upstream: &Upstream, signal: Signal) -> Option<Duration> {
        let (averages, decay) = self.dispatch.tree.averages(upstream)?;
        let average = averages.of(signal, self.asked.stream)?;
        Some(average.read(self.dispatch.clock.now(), decay))
    }

    fn first_token(&self, upstream: &Upstream) -> Option<Duration> {
        let (averages, decay) = self.dispatch.tree.averages(upstream)?;
        Some(averages.stream?.read(self.dispatch.clock.now(), decay))
    }

    fn tags(&self, upstream: &Upstream) -> Vec<&str> {
        let endpoint = self.dispatch.endpoints.get(&upstream.provider);
        endpoint.map_or_else(Vec::new, |endpoint| endpoint.tags.of(&upstream.model))
    }

    fn used(&self, upstream: &Upstream) -> Option<f64> {
        self.dispatch.tree.used_share(upstream)
    }

    fn context_window(&self, upstream: &Upstream) -> Option<u64> {
        let endpoint = self.dispatch.endpoints.get(&upstream.provider);
        self.dispatch.window(upstream, endpoint)
    }

    fn base_priority(&self, provider: &ProviderName) -> f64 {
        let endpoint = self.dispatch.endpoints.get(provider);
        endpoint.map_or(1.0, |endpoint| endpoint.base_priority)
    }

    fn keys(&self, upstream: &Upstream) -> TierKeys {
        self.dispatch.tree.usable_keys(upstream)
    }

    fn lacks(&self, upstream: &Upstream) -> Option<Unmet> {
        self.dispatch.lacks(upstream, self.asked)
    }

    fn turn(&self, target: usize) -> u64 {
        self.dispatch.routing.turn(target, self.takes_turns)
    }
}

impl HintFacts for RequestFigures<'_> {
    fn means(&self, name: &str, upstream: &Upstream) -> bool {
        let meant = self.dispatch.targets.resolve(Some(name));
        meant.is_ok_and(|chain| chain.upstreams.contains(upstream))
    }

    fn prices(&self, upstream: &Upstream) -> UnitPrices {
        let Some((sheet, _)) = self.dispatch.prices.sheet_of(upstream) else {
            return UnitPrices::default();
        };
        UnitPrices {
            prompt: sheet.rates.input,
            completion: sheet.rates.output,
            request: sheet.pieces.request,
            image: sheet.pieces.image,
        }
    }

    fn has_all(&self, upstream: &Upstream) -> bool {
        let known = self.dispatch.known_of(upstream);
        known.is_some_and(|known| known.confirms(self.asked.features))
    }

    fn data_policy(&self, provider: &ProviderName) -> DataPolicy {
        let endpoint = self.dispatch.endpoints.get(provider);
        endpoint.map_or(DataPolicy::Unknown, |endpoint| endpoint.data_policy)
    }
}

/// A ranked chain as the request narrows it, and what became of its upstreams by that.
fn narrowed(
    ranked: RankedChain,
    hints: &Hints,
    facts: &dyn HintFacts,
) -> (RankedChain, RankingStep) {
    let RankedChain {
        chain,
        ruled_out,
        session,
        ranking,
    } = ranked;
    let all = chain.upstreams.iter().enumerate().map(|(place, upstream)| {
        let unmet = ruled_out.iter().find(|(at, _)| *at == place);
        (upstream.clone(), unmet.map(|(_, unmet)| *unmet))
    });
    let all = hints.narrow(all.collect(), facts);
    let members = all.iter().map(|one| RankedMember {
        name: one.upstream.to_string().into(),
        priority: PRIORITY,
        figure: one.figure,
        unmet: one.unmet,
    });
    let step = RankingStep {
        target: Arc::clone(&chain.target),
        policy: Policy::default(),
        hints: Some(hints.to_string()),
        affinity: None,
        tiers: Vec::new(),
        members: members.collect(),
    };
    let places = all.iter().enumerate();
    let ruled_out = places.filter_map(|(place, one)| Some((place, one.unmet?)));
    let narrowed = RankedChain {
        ruled_out: ruled_out.collect(),
        chain: Arc::new(Chain {
            target: Arc::clone(&chain.target),
            upstreams: all.into_iter().map(|one| one.upstream).collect(),
        }),
        session,
        ranking,
    };
    (narrowed, step)
}

impl Dispatch {
    /// The chain in the order of this request, which all its attempts follow.
    pub(super) fn ranked_for(&self, chain: Arc<Chain>, request: &Request) -> RankedChain {
        let by_keys = self.routing.keeps_at_keys(&chain);
        let hints = request.hints.as_ref().map(|own| &own.hints);
        let hints = hints.filter(|_| self.targets.takes_hints(&chain.target));
        let is_plain = !self.targets.is_ranked(&chain.target)
            && !self.routing.reads_features
            && hints.is_none();
        if is_plain && !by_keys {
            return RankedChain::whole(chain);
        }
        let doc = &request.doc;
        let target = Arc::clone(&chain.target);
        let sessions = self.targets.sessions(&chain.target);
        let known_by = sessions.map(|own| own.by);
        let known_by = known_by.or_else(|| by_keys.then(AffinityBy::default));
        let session = known_by.and_then(|by| session::of(request, &chain.target, by));
        let ttl = sessions.map_or(Duration::ZERO, |own| own.ttl);
        let now = self.clock.now();
        let asked = RequestShape {
            prompt_tokens: tokens::prompt(doc),
            output_tokens: doc.max_output_tokens(),
            stream: request.streams(),
            features: match self.routing.reads_features || hints.is_some() {
                true => needs::of(doc),
                false => Features::NONE,
            },
            client: request.client.as_ref().map(|client| &**client.name()),
            header_fits: &|name, pattern| {
                let mut values = request.headers.get_all(name).iter();
                values.any(|value| value.to_str().is_ok_and(|value| matches(pattern, value)))
            },
            priority: request
                .client
                .as_ref()
                .map(|it| it.policy().priority.as_str()),
            details: &CallDetails {
                dispatch: self,
                request,
                target: &target,
            },
            model: &target,
            unix: unix(self.clock.wall()),
            session,
            warm: session.is_none_or(|session| self.routing.heard_of(session, ttl, now)),
        };
        self.rank(chain, &asked, hints, fastrand::u64(..JSON_SAFE), true)
    }

    /// The order for a request like that, as its own hints narrow it. `takes_turns` is false when none comes.
    pub(super) fn rank(
        &self,
        chain: Arc<Chain>,
        asked: &RequestShape<'_>,
        hints: Option<&Hints>,
        seed: u64,
        takes_turns: bool,
    ) -> RankedChain {
        let mut steps = Vec::new();
        let mut random = fastrand::Rng::with_seed(seed);
        let all = Arc::clone(&chain);
        let figures = RequestFigures {
            dispatch: self,
            asked,
            upstreams: &all.upstreams,
            usual: OnceCell::new(),
            takes_turns,
        };
        let mut inquiry = Inquiry {
            asked,
            figures: &figures,
            draw: &mut || random.f64(),
            steps: Some(&mut steps),
        };
        let mut ranked = self.targets.ranked(chain, &mut inquiry);
        ranked.session = asked.session;
        if self.routing.reads_features {
            // Single upstreams that lack something, beside others of the same member.
            for (place, upstream) in ranked.chain.upstreams.iter().enumerate() {
                let known = ranked.ruled_out.iter().any(|(at, _)| *at == place);
                if let Some(unmet) = self.lacks(upstream, asked).filter(|_| !known) {
                    ranked.ruled_out.push((place, unmet));
                }
            }
        }
        if let Some(hints) = hints {
            let (narrowed, step) = narrowed(ranked, hints, &figures);
            steps.push(step);
            ranked = narrowed;
        }
        if ranked.ruled_out.len() >= ranked.chain.upstreams.len() {
            ranked.ruled_out.retain(|(_, unmet)| !unmet.gives_way());
        }
        ranked.ranking = (!steps.is_empty()).then_some(Ranking { seed, steps });
        ranked
    }

    /// What an upstream is known to lack for such a request.
    fn lacks(&self, upstream: &Upstream, asked: &RequestShape<'_>) -> Option<Unmet> {
        if !self.routing.reads_features {
            return None;
        }
        let known = self.known_of(upstream)?;
        known.lacks(asked.features, asked.output_tokens)
    }

    /// What is known of what its model can do.
    fn known_of(&self, upstream: &Upstream) -> Option<KnownCapabilities> {
        let configured = self.endpoints.get(&upstream.provider)?.capabilities;
        Some(self.catalog.as_ref().map_or(configured, |catalog| {
            let listed = catalog.facts(&upstream.provider, &upstream.model);
            configured.or_listed(|capability| listed.can(capability))
        }))
    }
}

/// Seconds since 1970.
pub(super) fn unix(wall: SystemTime) -> i64 {
    let since = wall.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
