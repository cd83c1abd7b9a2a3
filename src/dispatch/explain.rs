//! Where a request would go now, and why not elsewhere: the plan that its route would follow (`domain/plan.rs`); nothing
//! is sent and nothing changes. What it says holds for this moment; the next request may change it.

use std::sync::Arc;
use std::time::Duration;

use super::budgeting::CostLook;
use super::details::QuestionDetails;
use super::ranking;
use super::request::Endpoint;
use super::rescue;
use super::session;
use super::shared::Dispatch;
use super::verdict::{self, retry_after};
use crate::access::Client;
pub use crate::actors::route::NoAnswer;
use crate::actors::route::{PlanRequest, Planned};
use crate::domain::asked::RequestShape;
use crate::domain::attempts::{Attempts, FinalError, LeaseRefused, Next};
use crate::domain::chain::{Chain, RankedChain};
use crate::domain::dialect::Operation;
use crate::domain::dropped::Unsupported;
use crate::domain::error_code::ErrorCode;
use crate::domain::hints::Hints;
use crate::domain::ids::{KeyId, Upstream};
use crate::domain::pattern::matches;
use crate::domain::plan::{CandidateFacts, PlanOutcome, WaitLimits};
use crate::domain::profile::Fetch;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::rescue::{RescueMode, RescueObstacle};
use crate::domain::skipped::skipped;
use crate::domain::target::RankingStep;
use crate::domain::time::Time;
use crate::domain::unmet::Features;
use crate::wire::dialects;

/// The `retry_after` of a client that may not ask.
const COME_BACK: Duration = Duration::from_secs(1);

/// The request in question.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// What it asks for; `None`: the default.
    pub target: Option<String>,
    /// Tokens of its prompt, when they matter.
    pub tokens: Option<u64>,
    /// The most tokens that its answer may have.
    pub output_tokens: Option<u64>,
    /// The client that asks; `None` where no clients are configured.
    pub client: Option<Arc<Client>>,
    /// Whether it asks for a stream.
    pub stream: bool,
    /// What it needs of a model.
    pub features: Features,
    /// Its headers by their names in small letters, as far as they matter.
    pub headers: Vec<(String, String)>,
    /// The name of its conversation.
    pub session: Option<String>,
    /// How it narrows the choice, where its target takes that.
    pub hints: Option<Hints>,
    /// What its random numbers are made from; `None`: something that nobody chose.
    pub seed: Option<u64>,
}

/// Where a request would go, and why.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// What was asked for, by its name; empty when that means nothing.
    pub target: String,
    /// The moment that it describes.
    pub at: Time,
    /// What becomes of the request.
    pub fate: Fate,
    /// The order is made anew for each request: the next one may have another.
    pub ranked: bool,
    /// How each target on the way ranked its members, outermost first.
    pub steps: Vec<RankingStep>,
    /// What the random numbers of that were made from.
    pub seed: u64,
    /// What budgets say of it; `None` where there are none.
    pub cost: Option<CostLook>,
    /// Every upstream of the chain in order.
    pub lines: Vec<UpstreamExplanation>,
}

/// What becomes of the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It goes to the upstream in this line, at once.
    Goes(usize),
    /// The request would wait.
    Waits {
        /// Until it looks again; `None`: for something that may be ready at any moment.
        until: Option<Time>,
        /// The line of what it waits for.
        at: usize,
    },
    /// The request would be refused.
    Refused {
        /// The error code.
        code: ErrorCode,
        /// The message.
        message: String,
        /// When to retry, if that helps.
        retry_after: Option<Duration>,
    },
}

/// One upstream of the chain.
#[derive(Clone, Debug)]
pub struct UpstreamExplanation {
    /// The upstream.
    pub upstream: Upstream,
    /// What that is to the request.
    pub standing: CandidateStanding,
    /// Tokens its models hold, when known.
    pub context_window: Option<u64>,
    /// How it is asked.
    pub settings: UpstreamSettings,
    /// The request would be the probe of its breaker.
    pub probe: bool,
    /// It recovers: the share that it takes, and whether this request is within it.
    pub recovery: Option<(f64, bool)>,
    /// Its keys in the order in which they would be asked.
    pub keys: Vec<KeyExplanation>,
}

/// How an upstream is asked, by what holds for its provider and for the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UpstreamSettings {
    /// Its dialect.
    pub dialect: &'static str,
    /// Where calls carry the key, or what they are let in with.
    pub auth: &'static str,
    /// Whether it is asked for responses as they are; `None` where its dialect has them, or has not.
    pub responses: Option<&'static str>,
    /// How whole answers are fetched.
    pub fetch: Fetch,
    /// What is done where its dialect has no place for something, unless the request says.
    pub unsupported: Unsupported,
    /// How a stream that broke off elsewhere is continued there; `None`: not at all.
    pub rescue: Option<RescueMode>,
    /// What keeps it from that, or from going on where the answer stopped, whatever the request is.
    pub rescue_obstacle: Option<RescueObstacle>,
}

/// What an upstream is to the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CandidateStanding {
    /// The request goes there.
    Chosen,
    /// It would come next.
    Next,
    /// It cannot take the attempt.
    Excluded(Refusal),
}

/// One key of an upstream.
#[derive(Clone, Debug)]
pub struct KeyExplanation {
    /// The key's id.
    pub id: KeyId,
    /// What it is to the request.
    pub turn: KeyTurn,
    /// Why no token could be fetched for it, if that is what keeps it out; without credentials.
    pub detail: Option<Arc<str>>,
}

/// What a key is to the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyTurn {
    /// It is the first that would take it.
    First,
    /// It would take it too.
    Ready,
    /// It cannot take the attempt.
    Excluded(Refusal),
}

impl Dispatch {
    /// What would become of that request if it came now.
    ///
    /// # Errors
    /// The router is down.
    pub async fn explain(&self, question: &Question) -> Result<Explanation, NoAnswer> {
        let output = question.output_tokens.unwrap_or(0);
        // Every request has a few.
        let reserve = question.tokens.unwrap_or(1).saturating_add(output);
        let asked = question.target.as_deref();
        let seed = question
            .seed
            .unwrap_or_else(|| fastrand::u64(..ranking::JSON_SAFE));
        let chain = match self.admission(asked, question.client.as_deref(), reserve) {
            Ok(chain) => chain,
            Err(fate) => return Ok(self.nowhere(asked.unwrap_or_default(), fate, seed)),
        };
        let mut ranked = self.ranking(chain, question, seed);
        let steps = ranked.ranking.take().unwrap_or_default().steps;
        let (now, policy) = (self.clock.now(), &self.policy);
        let (deadline, candidates) = (now + policy.deadline, self.candidates(&ranked.chain));
        let mut attempts = Attempts::new(*policy, deadline, 0, candidates);
        let prompt = question.tokens.unwrap_or(0).max(u64::from(output > 0));
        let size = (question.tokens, question.output_tokens);
        let client = question.client.as_ref().map(|it| Arc::clone(it.name()));
        let mut cost = self
            .look_at_cost(client, &ranked, size, &mut attempts)
            .await;
        let refused = cost.as_mut().and_then(|cost| cost.refused.take());
        if let Some((code, message, retry_after)) = refused {
            let fate = Fate::Refused {
                code,
                message,
                retry_after,
            };
            return Ok(Explanation {
                ranked: self.targets.is_ranked(&ranked.chain.target),
                steps,
                cost,
                ..self.nowhere(&ranked.chain.target, fate, seed)
            });
        }
        let RankedChain {
            chain,
            ruled_out,
            session,
            ..
        } = ranked;
        for (place, unmet) in ruled_out {
            attempts.rule_out(place, Reason::Unmet(unmet));
        }
        attempts.needs(prompt, output);
        // Where none holds all of it, those that hold the most part are asked.
        let _ = attempts.start(now);
        let standing = question.client.as_ref().map(|client| client.standing());
        let planned = self.tree.plan(PlanRequest {
            chain: Arc::clone(&chain),
            operation: Operation::Chat,
            ask: attempts.ask(),
            tokens: reserve,
            generation: self.generation,
            session,
            standing: standing.unwrap_or_default(),
            limits: WaitLimits {
                may_wait: policy.await_cooldown > Duration::ZERO,
                wait_until: now + policy.await_cooldown,
                patience_until: now + self.policies.of(&chain.target).patience,
                deadline,
            },
        });
        Ok(Explanation {
            steps,
            seed,
            cost,
            ..self.explanation(&chain, &attempts, &planned.await?)
        })
    }

    /// Of a request that is refused before any upstream of its chain is looked at.
    fn nowhere(&self, target: &str, fate: Fate, seed: u64) -> Explanation {
        Explanation {
            target: target.to_owned(),
            at: self.clock.now(),
            fate,
            ranked: false,
            steps: Vec::new(),
            seed,
            cost: None,
            lines: Vec::new(),
        }
    }

    /// The order for the request in question.
    fn ranking(&self, chain: Arc<Chain>, question: &Question, seed: u64) -> RankedChain {
        let session = question.session.as_deref();
        let target = Arc::clone(&chain.target);
        let client = question.client.as_ref().map(|client| &**client.name());
        let header_fits = |name: &str, pattern: &str| {
            let mut all = question.headers.iter();
            all.any(|(known, value)| known.eq_ignore_ascii_case(name) && matches(pattern, value))
        };
        let asked = RequestShape {
            prompt_tokens: question.tokens.unwrap_or(0),
            output_tokens: question.output_tokens,
            stream: question.stream,
            features: question.features,
            client,
            header_fits: &header_fits,
            priority: question
                .client
                .as_ref()
                .map(|it| it.policy().priority.as_str()),
            details: &QuestionDetails {
                dispatch: self,
                headers: &question.headers,
                client: question.client.as_deref(),
                target: &target,
            },
            model: &target,
            unix: ranking::unix(self.clock.wall()),
            session: session.map(|name| session::named(client, &chain.target, name)),
            warm: true,
        };
        let hints = question.hints.as_ref();
        let hints = hints.filter(|_| self.targets.takes_hints(&chain.target));
        self.rank(chain, &asked, hints, seed, false)
    }

    /// The checks before the chain is tried.
    fn admission(
        &self,
        asked: Option<&str>,
        client: Option<&Client>,
        reserve: u64,
    ) -> Result<Arc<Chain>, Fate> {
        let refused = |code, message, retry_after| Fate::Refused {
            code,
            message,
            retry_after,
        };
        if let Some(client) = client.filter(|client| client.is_full()) {
            let message = format!(
                "client `{}` has as many requests under way as it may (max_in_flight)",
                client.name()
            );
            return Err(refused(
                ErrorCode::ClientOverloaded,
                message,
                Some(COME_BACK),
            ));
        }
        let chain = self
            .target(asked, client)
            .map_err(|(code, message)| refused(code, message, None))?;
        if let Some(client) = client {
            let look = client.look(reserve, self.clock.now());
            look.map_err(|met| {
                let code = ErrorCode::ClientRateLimited;
                refused(code, met.to_string(), Some(met.wait))
            })?;
        }
        Ok(chain)
    }

    /// Translates the plan into an explanation.
    fn explanation(&self, chain: &Chain, attempts: &Attempts, planned: &Planned) -> Explanation {
        let (now, plan) = (planned.at, &planned.plan);
        let fate = match (attempts.clone().start(now), plan.outcome) {
            (Next::Fail(verdict), _) => refused(chain, attempts, verdict, &[], now),
            (_, PlanOutcome::Goes) => Fate::Goes(plan.order.first().copied().unwrap_or(0)),
            (_, PlanOutcome::Waits(until)) => {
                let declined = plan.declined.iter();
                let hopeful = declined.filter(|(_, it)| it.reason.may_pass());
                let first = hopeful.min_by_key(|(_, it)| it.ready_at.unwrap_or(Time::ZERO));
                Fate::Waits {
                    until,
                    at: first.map_or(0, |(at, _)| *at),
                }
            }
            (_, PlanOutcome::Refused(cause)) => {
                let declined = plan.declined.clone();
                let why = LeaseRefused { cause, declined };
                let verdict = attempts.refused(&why, now);
                refused(chain, attempts, verdict, &why.declined, now)
            }
        };
        let fetch = self.fetch_of(chain);
        let policy = self.policies.of(&chain.target);
        let own = policy.unsupported;
        let mode = policy.rescue.map(|rescue| rescue.mode);
        let barred = mode.and_then(|_| rescue::barred(self, chain));
        let lines = self.candidates(chain).zip(&planned.candidates);
        let lines = lines.enumerate().map(|(at, (candidate, facts))| {
            let skipped = plan.skipped.iter().find(|(of, _)| *of == at);
            let endpoint = self.endpoint(chain, at).map(|endpoint| &**endpoint);
            let model = candidate.upstream.model.as_str();
            let (rescue, rescue_obstacle) = rescue_at(endpoint, model, mode, barred);
            UpstreamExplanation {
                standing: match skipped {
                    Some((_, refusal)) => CandidateStanding::Excluded(*refusal),
                    None if fate == Fate::Goes(at) => CandidateStanding::Chosen,
                    None => CandidateStanding::Next,
                },
                context_window: candidate.context_window,
                settings: UpstreamSettings {
                    rescue,
                    rescue_obstacle,
                    ..UpstreamSettings::new(endpoint, fetch, own, now)
                },
                upstream: candidate.upstream,
                probe: facts.gate.is_ok_and(|pass| pass.probe),
                recovery: facts.recovery.map(|it| (it.share, it.admits)),
                keys: keys(facts, endpoint),
            }
        });
        Explanation {
            target: chain.target.as_ref().to_owned(),
            at: now,
            ranked: self.targets.is_ranked(&chain.target),
            steps: Vec::new(),
            seed: 0,
            cost: None,
            lines: lines.collect(),
            fate,
        }
    }
}

fn refused(
    chain: &Chain,
    attempts: &Attempts,
    verdict: FinalError,
    declined: &[(usize, Refusal)],
    now: Time,
) -> Fate {
    let closed = attempts.ask().closed;
    let told = verdict::FailedRequest {
        target: &chain.target,
        tried: 0,
        skipped: &skipped(&chain.upstreams, &closed, declined, &[]),
        attempts,
        caller: dialects::usual_caller(),
        now,
    };
    Fate::Refused {
        code: verdict.code,
        message: told.message(verdict.code),
        retry_after: retry_after(verdict, now),
    }
}

impl UpstreamSettings {
    fn new(endpoint: Option<&Endpoint>, fetch: Fetch, own: Option<Unsupported>, now: Time) -> Self {
        let dialect = endpoint.map_or_else(dialects::usual, |endpoint| endpoint.dialect);
        let auth = endpoint.and_then(|endpoint| endpoint.auth);
        let unsupported = endpoint.map(|endpoint| endpoint.unsupported);
        Self {
            dialect: dialect.id(),
            auth: auth.unwrap_or_else(|| dialect.scheme()).as_str(),
            responses: endpoint.and_then(|endpoint| endpoint.native.shown(dialect, now)),
            fetch,
            unsupported: own.or(unsupported).unwrap_or_default(),
            rescue: None,
            rescue_obstacle: None,
        }
    }
}

/// How a conversation that broke off elsewhere is continued at this model of an upstream, and what keeps it from more.
fn rescue_at(
    endpoint: Option<&Endpoint>,
    model: &str,
    mode: Option<RescueMode>,
    barred: Option<RescueObstacle>,
) -> (Option<RescueMode>, Option<RescueObstacle>) {
    match (mode, barred) {
        (Some(_), Some(obstacle)) => (None, Some(obstacle)),
        (Some(RescueMode::Continue), None) => {
            match endpoint.and_then(|endpoint| rescue::discontinued(endpoint, model)) {
                Some(obstacle) => (Some(RescueMode::Restart), Some(obstacle)),
                None => (mode, None),
            }
        }
        (mode, _) => (mode, None),
    }
}

fn keys(facts: &CandidateFacts, endpoint: Option<&Endpoint>) -> Vec<KeyExplanation> {
    let mut first = true;
    let lines = facts.keys.iter().map(|(id, refusal)| KeyExplanation {
        id: id.clone(),
        detail: refusal
            .filter(|refusal| refusal.reason == Reason::NoToken)
            .and_then(|_| endpoint?.tokens.failure(id)),
        turn: match refusal {
            None if std::mem::take(&mut first) => KeyTurn::First,
            None => KeyTurn::Ready,
            Some(refusal) => KeyTurn::Excluded(*refusal),
        },
    });
    lines.collect()
}
