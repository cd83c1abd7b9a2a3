//! What a request may cost, reserved before anything is sent, and what it did cost, settled when it ends. Where no budget is
//! configured nothing is asked, and only what is known to have cost something is counted.

use std::sync::Arc;
use std::time::Duration;

use super::admission::{Admitted, NotAdmitted, failed};
use super::budgeted::{BudgetRefusal, Budgeted, charge, rule_out};
use super::failed::Failed;
use super::ranking::unix;
use super::request::Request;
use super::shared::Dispatch;
use super::tokens;
use crate::budgets::{Charge, SpendDecision, SpendRequest, Spending};
use crate::domain::attempt_record::AttemptRecord;
use crate::domain::attempts::Attempts;
use crate::domain::budget::{
    BudgetScope, BudgetStanding, BudgetView, CandidateCost, Closed, Refused, RefusedCost,
    SpendVerdict, Spender,
};
use crate::domain::chain::{Chain, RankedChain};
use crate::domain::cost;
use crate::domain::dialect::{AnswerList, Operation};
use crate::domain::error_code::ErrorCode;
use crate::domain::ids::Upstream;
use crate::domain::money::Pico;
use crate::domain::routing_note::BudgetNote;
use crate::domain::usage::{Usage, UsageDetails};

/// A budget without another window has no moment to come back at; clients that come back by themselves stay away so long.
const NEVER: Duration = Duration::from_hours(24);
/// What the fleet is asked for comes with one of the next answers.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// A server that is away is back after some seconds, or after long.
const LOST_WAIT: Duration = Duration::from_secs(5);
/// Of sound whose length is not known, so much is reserved.
const SOUND_SECONDS: u32 = 60;

/// The size of a request whose cost is estimated.
#[derive(Clone, Copy)]
struct CostSize<'a> {
    prompt: u64,
    output: u64,
    /// Whether its price is one per token at all.
    by_tokens: bool,
    /// What it has made or spoken that is paid by the piece.
    images: u32,
    characters: u32,
    tier: &'a str,
}

/// What budgets would say to a request.
#[derive(Clone, Debug)]
pub struct CostLook {
    /// The code, message and time of the answer, if no budget lets it through.
    pub(super) refused: Option<(ErrorCode, String, Option<Duration>)>,
    /// Where it goes instead, and the number of the budget that is used up.
    pub(super) then: Option<(Arc<Chain>, usize)>,
    /// By place in the chain: the budget that refuses it there.
    pub closed: Vec<Option<BudgetStanding>>,
    /// The budget, in words, that was used up, so that it goes to another target than the one that it asks for.
    pub steered_by: Option<String>,
    /// By place in the chain: what would be reserved for it there; `None` where the price is not known.
    pub estimates: Vec<Option<Pico>>,
    /// What would be reserved in each budget; `None` where it is refused.
    pub reserved: Option<Pico>,
    /// The budgets that bound it, as they stand.
    pub budgets: Vec<BudgetView>,
}

impl Dispatch {
    /// Reserves what the request may cost. One that a budget sends elsewhere has another chain from then on.
    pub(super) async fn reserve_cost(
        &self,
        request: &Request,
        mut admitted: Admitted,
    ) -> Result<Admitted, Box<NotAdmitted>> {
        let counts = request.operation.spec().answer == AnswerList::Count;
        if self.budgets.is_empty() || counts {
            return Ok(admitted);
        }
        let unix = self.unix();
        let mut steered = Vec::new();
        loop {
            let estimates = self.estimates(request, &admitted.chain.chain);
            let decision = self.budgets.admit(SpendRequest {
                client: request.client.as_ref().map(|it| Arc::clone(it.name())),
                target: Arc::clone(&admitted.chain.chain.target),
                candidates: candidates(&admitted.chain, &estimates),
                steered: steered.clone(),
                unix,
            });
            let (failed, by, closed) = match decision.await {
                None => return Ok(admitted),
                Some(SpendDecision::Admitted {
                    reservation,
                    closed,
                    soft,
                    tightest,
                }) => {
                    let upstreams = admitted.chain.chain.upstreams.iter();
                    let known = upstreams.cloned().zip(estimates);
                    let known = known.filter_map(|(upstream, cost)| Some((upstream, cost?)));
                    let note = BudgetNote {
                        reserved: reservation.amount(),
                        soft,
                        tightest,
                        steered_by: steered.last().map(|at| self.described(*at, unix)),
                        refused_by: None,
                    };
                    admitted.budgeted = Some(Box::new(Budgeted {
                        reservation,
                        estimates: known.collect(),
                        closed: by_place(closed, &admitted.chain),
                        note,
                    }));
                    return Ok(admitted);
                }
                Some(SpendDecision::Then(target, number)) => {
                    let resolved = self.targets.resolve(Some(&target));
                    match resolved {
                        // What is not looked into can go nowhere else.
                        Ok(chain) if request.operation != Operation::Passthrough => {
                            admitted.chain = self.ranked_for(chain, request);
                            steered.push(number);
                            continue;
                        }
                        _ => {
                            let places = admitted.chain.chain.upstreams.len();
                            let closed = vec![Some(Closed::Budget(number)); places];
                            let failed = told(request, &self.exhausted(number, unix), unix);
                            (failed, self.standing(number, unix), closed)
                        }
                    }
                }
                Some(SpendDecision::Refused(RefusedCost { why, by, closed })) => {
                    (told(request, &why, unix), by, closed)
                }
            };
            let note = by.map(|by| BudgetNote {
                steered_by: steered.last().map(|at| self.described(*at, unix)),
                refused_by: Some(by),
                ..BudgetNote::default()
            });
            return Err(self.not_admitted(admitted, failed, closed, note));
        }
    }

    /// A request that no budget lets through; its client is not charged for it.
    fn not_admitted(
        &self,
        admitted: Admitted,
        failed: Failed,
        closed: Vec<Option<Closed>>,
        note: Option<BudgetNote>,
    ) -> Box<NotAdmitted> {
        if let Some(charge) = admitted.charge {
            charge.reservation.settle(Some(0), self.clock.now());
        }
        let (target, chain) = (admitted.target, admitted.chain);
        Box::new(NotAdmitted {
            target,
            failed,
            for_tokens: None,
            by_budget: note.map(|note| {
                Box::new(BudgetRefusal {
                    closed: by_place(closed, &chain),
                    chain,
                    note,
                })
            }),
        })
    }

    /// How the budget of that number stands.
    fn standing(&self, number: usize, unix: i64) -> Option<BudgetStanding> {
        let views = self.budgets.views(unix);
        views.get(number).map(BudgetView::standing)
    }

    /// The budget of that number, in words.
    fn described(&self, number: usize, unix: i64) -> String {
        let views = self.budgets.views(unix);
        let view = views.get(number);
        view.map(|view| view.budget.described()).unwrap_or_default()
    }

    /// A budget is used up whose other target cannot serve this request.
    fn exhausted(&self, number: usize, unix: i64) -> Refused {
        let views = self.budgets.views(unix);
        let view = views.get(number);
        let what = view.map(|view| view.budget.described());
        Refused::Exhausted {
            what: what.unwrap_or_default(),
            too_large: false,
            until: view.and_then(|view| view.ends),
        }
    }

    /// What budgets would say to a request with this prompt and output; what has no room is ruled out. Nothing is reserved.
    /// `steered`: the numbers of budgets that have sent it to this chain. `None`: there are none.
    pub(super) async fn look_at_cost(
        &self,
        client: Option<Arc<str>>,
        ranked: &RankedChain,
        (prompt, output): (Option<u64>, Option<u64>),
        steered: &[usize],
        attempts: &mut Attempts,
    ) -> Option<CostLook> {
        if self.budgets.is_empty() {
            return None;
        }
        let size = CostSize {
            prompt: prompt.unwrap_or(1),
            output: output.unwrap_or(self.assume_output),
            by_tokens: true,
            images: 0,
            characters: 0,
            tier: "",
        };
        let upstreams = ranked.chain.upstreams.iter();
        let estimates: Vec<_> = upstreams.map(|it| self.estimate(it, size)).collect();
        let unix = self.unix();
        let views = self.budgets.views(unix);
        let mut budgets = views.clone();
        budgets.retain(|view| bounds(&view.budget.scope, client.as_deref(), &ranked.chain));
        let verdict = self.budgets.look(SpendRequest {
            client,
            target: Arc::clone(&ranked.chain.target),
            candidates: candidates(ranked, &estimates),
            steered: steered.to_vec(),
            unix,
        });
        let (mut reserved, mut refused, mut then) = (None, None, None);
        let closed = match verdict.await? {
            SpendVerdict::Admitted(admitted) => {
                reserved = Some(admitted.ticket.most());
                admitted.closed
            }
            SpendVerdict::Then(target, number) => {
                let next = self.targets.resolve(Some(&target)).ok();
                then = next.map(|chain| (chain, number));
                if then.is_none() {
                    refused = Some(words(&self.exhausted(number, unix), unix));
                }
                vec![Some(Closed::Budget(number)); ranked.chain.upstreams.len()]
            }
            SpendVerdict::Refused(no_room) => {
                refused = Some(words(&no_room.why, unix));
                no_room.closed
            }
        };
        let closed = by_place(closed, ranked);
        rule_out(&closed, attempts);
        let closed = closed.into_iter();
        let closed = closed.map(|closed| views.get(closed?.budget()).map(BudgetView::standing));
        Some(CostLook {
            refused,
            then,
            closed: closed.collect(),
            steered_by: steered.last().map(|at| self.described(*at, unix)),
            estimates,
            reserved,
            budgets,
        })
    }

    /// What the request may cost at each upstream of its chain; `None` where that is not known.
    fn estimates(&self, request: &Request, chain: &Chain) -> Vec<Option<Pico>> {
        let doc = &request.doc;
        let passed = request.operation == Operation::Passthrough;
        let writes = match request.operation.spec().answer {
            AnswerList::Choices
            | AnswerList::Output
            | AnswerList::Content
            | AnswerList::Candidates => true,
            _ => passed,
        };
        let most = doc.max_output_tokens().unwrap_or(self.assume_output);
        let tier = super::costs::tier_of(request).unwrap_or_default();
        let size = CostSize {
            prompt: tokens::prompt(doc),
            output: match writes {
                true => most.saturating_mul(u64::from(doc.choices().max(1))),
                false => 0,
            },
            by_tokens: writes && !passed,
            images: match request.operation {
                Operation::ImageGenerations | Operation::ImageEdits => doc.choices(),
                _ => 0,
            },
            characters: super::costs::spoken(request),
            tier: &tier,
        };
        let upstreams = chain.upstreams.iter();
        upstreams.map(|it| self.estimate(it, size)).collect()
    }

    fn estimate(&self, upstream: &Upstream, size: CostSize<'_>) -> Option<Pico> {
        let (sheet, _) = self.prices.sheet_of(upstream)?;
        let at = self.clock.wall();
        let of = |usage: Usage| {
            let priced = cost::price(&sheet, &usage, size.tier, at);
            priced.map(|priced| priced.amount)
        };
        let by_tokens = of(Usage {
            prompt_tokens: Some(size.prompt),
            completion_tokens: Some(size.output),
            details: UsageDetails {
                images: size.images,
                characters: size.characters,
                ..UsageDetails::default()
            },
            ..Usage::default()
        });
        if by_tokens.is_some() || size.by_tokens {
            return by_tokens;
        }
        // Sound and pictures are paid by the piece.
        let pieces = &sheet.at(unix(at))?.pieces;
        let seconds = pieces.second.map(|it| it.times(u64::from(SOUND_SECONDS)));
        let images = u64::from(size.images.max(1));
        let some = seconds.or(pieces.image.map(|it| it.times(images)));
        let some = some.or(pieces.page);
        let characters = u64::from(size.characters).max(size.prompt.saturating_mul(4));
        let some = some.or(pieces.character.map(|it| it.times(characters)));
        match (some, pieces.request) {
            (Some(some), request) => Some(some.plus(request.unwrap_or_default())),
            (None, request) => request,
        }
    }

    /// The present moment, in seconds since 1970.
    pub(super) fn unix(&self) -> i64 {
        i64::try_from(self.clock.anchor().wall.as_secs()).unwrap_or(i64::MAX)
    }

    /// A request has ended after these attempts, the last of which, so many, were still under way.
    pub(super) fn settle_cost(
        &self,
        request: &Request,
        chain: &Chain,
        budgeted: Option<Box<Budgeted>>,
        records: &[AttemptRecord],
        under_way: usize,
    ) {
        let estimates = budgeted.as_ref().map_or(&[][..], |it| &it.estimates[..]);
        let left = records.len().saturating_sub(under_way);
        let records = records.iter().enumerate();
        let charges =
            records.filter_map(|(place, record)| charge(record, place >= left, estimates));
        let charges: Vec<Charge> = charges.collect();
        if budgeted.is_none() && charges.is_empty() {
            return;
        }
        let spending = Spending {
            client: request.client.as_ref().map(|it| Arc::clone(it.name())),
            target: Arc::clone(&chain.target),
            charges,
            unix: self.unix(),
        };
        match budgeted {
            Some(budgeted) => budgeted.reservation.settle(spending),
            None => self.budgets.spent(spending),
        }
    }
}

/// Whether the budget of that scope bounds a request of this client for the chain.
fn bounds(scope: &BudgetScope, client: Option<&str>, chain: &Chain) -> bool {
    let is_of = match &scope.owner {
        Spender::Whole => true,
        Spender::Client(name) => client == Some(&**name),
        Spender::Provider(name) => {
            let mut upstreams = chain.upstreams.iter();
            upstreams.any(|upstream| upstream.provider == *name)
        }
    };
    is_of && scope.has(&chain.target)
}

/// What budgets are asked of: all places of the chain that are not ruled out already.
fn candidates(ranked: &RankedChain, estimates: &[Option<Pico>]) -> Vec<CandidateCost> {
    let upstreams = ranked.chain.upstreams.iter().zip(estimates).enumerate();
    let open = upstreams.filter(|(place, _)| !ranked.rules_out(*place));
    let candidates = open.map(|(_, (upstream, estimate))| CandidateCost {
        provider: upstream.provider.clone(),
        estimate: *estimate,
    });
    candidates.collect()
}

/// What budgets said of those, by the places of the whole chain.
fn by_place(closed: Vec<Option<Closed>>, ranked: &RankedChain) -> Vec<Option<Closed>> {
    let mut closed = closed.into_iter();
    let places = 0..ranked.chain.upstreams.len();
    let said = places.map(|place| match ranked.rules_out(place) {
        true => None,
        false => closed.next().flatten(),
    });
    said.collect()
}

fn told(request: &Request, refused: &Refused, unix: i64) -> Failed {
    let (code, message, retry_after) = words(refused, unix);
    Failed {
        retry_after,
        ..failed(request, code, message)
    }
}

/// The code, message and time of a refusal.
fn words(refused: &Refused, unix: i64) -> (ErrorCode, String, Option<Duration>) {
    match refused {
        Refused::Unpriced { what } => {
            let message = format!(
                "no upstream of the target has a known price, which {what} asks for: its operator can set `price`, or `unpriced: allow`"
            );
            (ErrorCode::UnpricedModel, message, None)
        }
        Refused::Short { what, is_lost } => {
            let why = match is_lost {
                true => {
                    "is shared by a fleet whose server cannot be reached, and what this process had claimed of it is spent"
                }
                false => {
                    "is shared by a fleet, and this process has not been given enough of it yet"
                }
            };
            let wait = if *is_lost { LOST_WAIT } else { SHORT_WAIT };
            let message = format!("{what} {why}: retry later");
            (ErrorCode::FleetUnavailable, message, Some(wait))
        }
        Refused::Exhausted {
            what,
            too_large,
            until,
        } => {
            let wait = until.map(|until| {
                let seconds = until.saturating_sub(unix).max(1);
                Duration::from_secs(u64::try_from(seconds).unwrap_or(1))
            });
            let hint = match (too_large, wait) {
                (true, _) => {
                    "has less than this request may cost: ask for fewer output tokens (max_tokens)"
                }
                (false, Some(_)) => {
                    "has too little left for this request: retry when its next window begins, or ask for fewer output tokens (max_tokens)"
                }
                (false, None) => {
                    "has too little left for this request, and no further window: its operator can raise it"
                }
            };
            let message = format!("{what} {hint}");
            let code = ErrorCode::ClientBudgetExhausted;
            (code, message, Some(wait.unwrap_or(NEVER)))
        }
    }
}
