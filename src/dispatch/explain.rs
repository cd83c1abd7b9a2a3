//! Where a request would go now, and why not elsewhere: the plan that its route would follow (`domain/plan.rs`); nothing
//! is sent and nothing changes. What it says holds for this moment; the next request may change it.

use std::sync::Arc;
use std::time::Duration;

use super::budgeting::CostLook;
use super::details::QuestionDetails;
use super::explanation::{
    CandidateStanding, Explanation, Fate, KeyExplanation, KeyTurn, Question, UpstreamExplanation,
    UpstreamSettings,
};
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
use crate::domain::pattern::matches;
use crate::domain::plan::{CandidateFacts, PlanOutcome, WaitLimits};
use crate::domain::profile::Fetch;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::rescue::{RescueMode, RescueObstacle};
use crate::domain::skipped::skipped;
use crate::domain::time::Time;
use crate::wire::dialects;

/// The `retry_after` of a client that may not ask.
const COME_BACK: Duration = Duration::from_secs(1);

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
        let now = self.clock.now();
        let seed = question
            .seed
            .unwrap_or_else(|| fastrand::u64(..ranking::JSON_SAFE));
        let chain = match self.admission(asked, question.client.as_deref(), reserve) {
            Ok(chain) => chain,
            Err(fate) => return Ok(self.nowhere(asked.unwrap_or_default(), fate, seed)),
        };
        let prompt = question.tokens.unwrap_or(0).max(u64::from(output > 0));
        let (policy, deadline) = (&self.policy, now + self.policy.deadline);
        let (ranked, mut attempts, mut cost) = self.bounded(chain, question, seed, deadline).await;
        let refused = cost.as_mut().and_then(|cost| cost.refused.take());
        let RankedChain {
            chain,
            ruled_out,
            session,
            ranking,
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
        let mut explained = Explanation {
            steps: ranking.unwrap_or_default().steps,
            seed,
            cost,
            ..self.explanation(&chain, &attempts, &planned.await?)
        };
        if let Some((code, message, retry_after)) = refused {
            explained.fate = Fate::Refused {
                code,
                message,
                retry_after,
            };
        }
        Ok(explained)
    }

    /// The chain for the request in question, its machine, and what budgets say of it. One of them may send it to another chain.
    async fn bounded(
        &self,
        mut chain: Arc<Chain>,
        question: &Question,
        seed: u64,
        deadline: Time,
    ) -> (RankedChain, Attempts, Option<CostLook>) {
        let size = (question.tokens, question.output_tokens);
        let client = question.client.as_ref().map(|it| Arc::clone(it.name()));
        let mut steered = Vec::new();
        loop {
            let ranked = self.ranking(chain, question, seed);
            let candidates = self.candidates(&ranked.chain);
            let mut attempts = Attempts::new(self.policy, deadline, 0, candidates);
            let mut cost = self
                .look_at_cost(client.clone(), &ranked, size, &steered, &mut attempts)
                .await;
            match cost.as_mut().and_then(|cost| cost.then.take()) {
                Some((next, number)) => {
                    steered.push(number);
                    chain = next;
                }
                None => return (ranked, attempts, cost),
            }
        }
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
                temperature: question.temperature,
                target: &target,
            },
            model: &target,
            unix: question
                .at
                .unwrap_or_else(|| ranking::unix(self.clock.wall())),
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
        if let Some(client) = client.filter(|client| client.is_full(self.clock.now())) {
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
                let code = met.code();
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
                tags: endpoint.map_or_else(Vec::new, |endpoint| {
                    let tags = endpoint.tags.of(&candidate.upstream.model).into_iter();
                    tags.map(str::to_owned).collect()
                }),
                settings: UpstreamSettings {
                    rescue,
                    rescue_obstacle,
                    ..UpstreamSettings::new(endpoint, fetch, own, now)
                },
                upstream: candidate.upstream,
                probe: facts.gate.is_ok_and(|pass| pass.probe),
                recovery: facts.recovery.map(|it| (it.share, it.admits)),
                preference: facts.preference.clone(),
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
