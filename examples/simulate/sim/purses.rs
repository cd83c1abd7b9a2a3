//! Budgets against books of the simulator's own: what each request may cost and did cost, by the prices, and not by what
//! the ledger says (law L13).
//!
//! Where nobody can say what an attempt cost (its answer broke off, its client left), the books know the least and the most.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::SystemTime;

use pointsman::access::{Client, Clients};
use pointsman::budgets::{Budgets, SavedSpending};
use pointsman::domain::budget::{BudgetPolicy, BudgetView, Mode, Period, Spender, UnpricedSpend};
use pointsman::domain::client::{Allow, ClientLimits, ClientPolicy, Priority};
use pointsman::domain::error_code::ErrorCode;
use pointsman::domain::money::Pico;
use pointsman::domain::outcome::Class;
use pointsman::domain::time::Time;
use pointsman::wire::token::TokenDigest;

use super::asked::Asked;
use super::calls::Attempt;
use super::fault::Fault;
use super::model::Spot;
use super::plan::PROMPT;
use super::state::State;
use super::world::{Maker, World};

const HOUR: i64 = 3600;
/// Tokens per minute of each client, where answers are kept.
pub const TPM: u64 = 20_000;
/// Tokens of an answer where its request names no bound.
const ASSUMED: u64 = 1024;
/// More than any stream here is taken for.
const MOST_SAID: u64 = 64;
/// The least that a prompt is estimated at.
const LEAST_PROMPT: u64 = 1;

/// Who may spend how much, and how it is spent.
#[derive(Clone, Default, Debug)]
pub struct Economy {
    pub budgets: Vec<BudgetPolicy>,
    /// Requests are of one of so many clients, or of nobody.
    pub clients: u64,
    /// So many requests come at once, with a long pause before; 0: as manners have it.
    pub group: u32,
    /// How often the process is killed that owns the ledger, per request.
    pub kills: f64,
}

/// What an attempt cost, at least and at most, and the least that was reserved for it.
#[derive(Clone, Copy)]
struct Cost {
    maker: usize,
    least: Pico,
    most: Pico,
    reserved: Pico,
}

/// What a request cost, whose end is known.
struct Paid {
    request: u32,
    at: Time,
    unix: i64,
    costs: Vec<Cost>,
    /// The ledger that knew of it, or its last second, is gone.
    is_lost: bool,
}

/// The books, and the ledger that they are held against.
pub struct Purses {
    pub ledger: Option<Budgets>,
    /// What the state file has, and since when.
    pub saved: SavedSpending,
    pub saved_at: Time,
    clients: Vec<Arc<Client>>,
    paid: Vec<Paid>,
    /// The number of kills so far.
    pub epoch: u32,
    /// Refusals of this moment, which are judged when it is over.
    refused: Vec<(u32, Time, ErrorCode)>,
}

pub fn name(client: u64) -> String {
    format!("c{client}")
}

impl Purses {
    pub fn new(world: &World) -> Self {
        let names: Vec<String> = (0..world.economy.clients).map(name).collect();
        let tokens: Vec<[TokenDigest; 1]> = names
            .iter()
            .map(|name| [TokenDigest::of(name.as_bytes())])
            .collect();
        let policies = names.iter().zip(&tokens).map(|(name, token)| {
            let policy = ClientPolicy {
                name: name.as_str().into(),
                allow: Allow::everything(),
                limits: limits(world),
                priority: Priority::default(),
            };
            (policy, &token[..])
        });
        let all = Clients::new(policies, None);
        let found = names.iter().filter_map(|name| all.whose(name.as_bytes()));
        Self {
            ledger: None,
            saved: SavedSpending::default(),
            saved_at: Time::ZERO,
            clients: found.cloned().collect(),
            paid: Vec::new(),
            epoch: 0,
            refused: Vec::new(),
        }
    }

    pub fn client(&self, client: Option<u64>) -> Option<Arc<Client>> {
        self.clients.get(client? as usize).cloned()
    }

    /// The process that owned the ledger is gone, with what it had not written; the next one reads what is written.
    pub fn killed(&mut self, now: Time) {
        self.epoch += 1;
        let unsaved = self.paid.iter_mut();
        for paid in unsaved.filter(|paid| paid.at >= self.saved_at && paid.at <= now) {
            paid.is_lost = true;
        }
    }

    pub fn was_refused(&mut self, request: u32, now: Time, code: ErrorCode) {
        self.refused.push((request, now, code));
    }
}

pub fn unix(wall: SystemTime) -> i64 {
    let since = wall.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

/// Where answers are kept, tokens are counted: those that are kept take none (L20).
fn limits(world: &World) -> ClientLimits {
    ClientLimits {
        tpm: world.keeping.as_ref().and(NonZeroU64::new(TPM)),
        ..ClientLimits::default()
    }
}

/// The number of a budget's window, by the calendar.
fn window(budget: &BudgetPolicy, unix: i64) -> i64 {
    match budget.period {
        Period::Hours(hours) => unix.div_euclid(HOUR * i64::from(hours)),
        Period::Day => (unix + (budget.zone.offset)(unix)).div_euclid(24 * HOUR),
        _ => 0,
    }
}

fn is_of(budget: &BudgetPolicy, asked: &Asked, maker: &Maker) -> bool {
    match &budget.scope.owner {
        Spender::Whole => true,
        Spender::Client(client) => asked.plan.client.map(name).as_deref() == Some(&**client),
        Spender::Provider(provider) => *provider == maker.name,
    }
}

/// The least and the most that may be reserved for a request at a maker with this price.
fn estimates(asked: &Asked, (input, output): (Pico, Pico)) -> (Pico, Pico) {
    let answer = output.times(asked.plan.max_tokens.unwrap_or(ASSUMED));
    let most = input.times(asked.plan.body(0).len() as u64 / 4 + 4);
    (input.times(LEAST_PROMPT).plus(answer), most.plus(answer))
}

/// Refusals before anything was made of an answer, which cost nothing, unless their client left before they came.
fn costs_nothing(call: &Attempt) -> bool {
    let refused = matches!(
        call.outcome,
        Some(Class::Transient | Class::Overloaded | Class::Network)
    );
    refused
        && matches!(
            call.fault,
            Fault::Error500
                | Fault::BadGateway
                | Fault::Unavailable
                | Fault::Overloaded
                | Fault::Refused
                | Fault::ResetBeforeHead
                | Fault::ConnectTimeout
        )
}

impl State {
    /// A request is over: what it cost.
    pub(super) fn pays(&mut self, request: u32, how: &'static str) {
        if self.world.economy.budgets.is_empty() {
            return;
        }
        let world = Arc::clone(&self.world);
        let served = matches!(how, "answered" | "streamed");
        let winner = self.winner(request).filter(|_| served);
        let asked = &self.asked[request as usize];
        let mut costs = Vec::new();
        for attempt in &asked.attempts {
            let call = &self.attempts[*attempt as usize];
            let Some(rates @ (input, output)) = world.makers[call.spot.maker].rates() else {
                continue;
            };
            let (reserved, most) = estimates(asked, rates);
            let prompt = input.times(PROMPT);
            let exact = prompt.plus(output.times(asked.plan.answer));
            let said = input.times(asked.plan.body(0).len() as u64 / 4 + 4);
            let said = said.plus(output.times(asked.plan.answer.max(MOST_SAID)));
            let (least, most) = if winner == Some(*attempt) {
                (exact, exact)
            } else if costs_nothing(call) {
                (Pico::ZERO, Pico::ZERO)
            } else {
                (Pico::ZERO, most.max(said).max(exact))
            };
            costs.push(Cost {
                maker: call.spot.maker,
                least,
                most,
                reserved,
            });
        }
        let paid = Paid {
            request,
            at: self.clock.now(),
            unix: unix(self.clock.wall()),
            costs,
            is_lost: asked.epoch != self.purses.epoch,
        };
        self.purses.paid.push(paid);
    }

    /// A request's first attempt is outside of its chain: has a budget sent it there?
    pub(super) fn steers(&mut self, request: u32, spot: Spot, now: Time) {
        let asked = &self.asked[request as usize];
        let is_own = asked.slots.iter().any(|slot| slot.maker == spot.maker);
        if is_own || !asked.attempts.is_empty() {
            return;
        }
        let makers = &self.world.makers;
        let mut budgets = self.world.economy.budgets.iter();
        let then = budgets.find_map(|budget| {
            let mut slots = asked.slots.iter();
            let applies = slots.any(|slot| is_of(budget, asked, &makers[slot.maker]));
            budget.then.clone().filter(|_| applies)
        });
        let Some(then) = then else { return };
        let slots = self.slots_of(&Arc::clone(&self.world.targets), &then);
        let asked = &mut self.asked[request as usize];
        asked.steered = true;
        asked.own_slots = std::mem::replace(&mut asked.slots, slots);
        self.tally.steered += 1;
        self.purses
            .was_refused(request, now, ErrorCode::ClientBudgetExhausted);
    }

    /// What was spent of a budget in a window: the least and the most, what of it is lost, and what may have been above
    /// reservations. Of requests up to this moment.
    fn spent(&self, budget: &BudgetPolicy, number: i64, until: Time) -> Spent {
        let mut spent = Spent::default();
        let paid = self.purses.paid.iter();
        let paid = paid.filter(|paid| paid.at <= until && window(budget, paid.unix) == number);
        for paid in paid {
            let asked = &self.asked[paid.request as usize];
            let (mut all, mut reserved) = (Pico::ZERO, Pico::ZERO);
            let costs = paid.costs.iter();
            for cost in costs.filter(|it| is_of(budget, asked, &self.world.makers[it.maker])) {
                all = all.plus(cost.most);
                reserved = reserved.max(cost.reserved);
                spent.truly = spent.truly.plus(cost.least);
                spent.most = spent.most.plus(cost.most);
                match paid.is_lost {
                    true => spent.lost = spent.lost.plus(cost.most),
                    false => spent.least = spent.least.plus(cost.least),
                }
            }
            // What was sent elsewhere is counted, and not bounded.
            spent.above = spent.above.plus(match asked.steered {
                true => all,
                false => all.minus(reserved),
            });
        }
        spent
    }

    /// The most that may be reserved in a budget at a moment, by requests that were under way then in the same process.
    fn reserved(&self, budget: &BudgetPolicy, at: Time, epoch: u32, but: u32) -> Pico {
        let all = self.asked.iter().enumerate();
        let there = all.filter(|(number, asked)| {
            let holds = asked.ended.is_none_or(|ended| ended >= at);
            let same = asked.epoch == epoch;
            asked.arrived <= at && holds && same && !asked.over_budget && *number as u32 != but
        });
        there.fold(Pico::ZERO, |sum, (_, asked)| {
            sum.plus(self.reserves(budget, asked))
        })
    }

    fn reserves(&self, budget: &BudgetPolicy, asked: &Asked) -> Pico {
        let slots = asked
            .slots
            .iter()
            .map(|slot| &self.world.makers[slot.maker]);
        let priced = slots.filter(|maker| is_of(budget, asked, maker));
        let most = priced.filter_map(|maker| Some(estimates(asked, maker.rates()?).1));
        most.max().unwrap_or_default()
    }

    /// Whether that request may go to upstreams without a price.
    pub(super) fn refuses_unpriced(&self, request: u32, maker: usize) -> bool {
        let asked = &self.asked[request as usize];
        let maker = &self.world.makers[maker];
        let mut budgets = self.world.economy.budgets.iter();
        maker.price.is_none()
            && budgets.any(|budget| {
                let strict = budget.mode == Mode::Hard && budget.unpriced == UnpricedSpend::Refuse;
                // What a budget has sent elsewhere it does not bound.
                let bounds = budget.then.is_none() || !asked.steered;
                strict && bounds && is_of(budget, asked, maker)
            })
    }
}

#[derive(Default)]
struct Spent {
    /// What the ledger must know of, at least and at most.
    least: Pico,
    most: Pico,
    /// What was spent for certain, whoever knows of it.
    truly: Pico,
    lost: Pico,
    above: Pico,
}

/// Every message has been handled: the ledger, the books, and the refusals since the last time.
pub fn audit(state: &mut State) {
    judge_refusals(state);
    let Some(ledger) = state.purses.ledger.clone() else {
        return;
    };
    let now = state.clock.now();
    let unix = unix(state.clock.wall());
    let mut wrong = Vec::new();
    for view in ledger.views(unix) {
        let BudgetView {
            budget,
            spent,
            reserved,
            ..
        } = &view;
        let known = state.spent(budget, window(budget, unix), now);
        let what = budget.described();
        if *spent < known.least || known.most < *spent {
            let (least, most) = (known.least, known.most);
            wrong.push(format!(
                "{what}: {spent} is told, {least} to {most} was spent"
            ));
        }
        let most = state.reserved(budget, now, state.purses.epoch, u32::MAX);
        if *reserved > most {
            wrong.push(format!(
                "{what}: {reserved} is reserved, by those under way at most {most}"
            ));
        }
        let bound = budget.amount.plus(known.above).plus(known.lost);
        if budget.mode == Mode::Hard && known.truly > bound {
            wrong.push(format!(
                "{what}: {} was spent, {bound} is the bound",
                known.truly
            ));
        }
        if budget.mode == Mode::Hard {
            let over = known.truly.minus(budget.amount).get();
            let share = over.saturating_mul(1000) / budget.amount.get().max(1);
            state.tally.most_over = state.tally.most_over.max(share);
        }
    }
    for what in wrong {
        state.break_law("L13", 0, what);
    }
}

/// No request is refused for a budget that has room for it, whatever came first at its moment.
fn judge_refusals(state: &mut State) {
    let now = state.clock.now();
    // At this very moment more may be settled.
    let (over, open): (Vec<_>, Vec<_>) = std::mem::take(&mut state.purses.refused)
        .into_iter()
        .partition(|(_, at, _)| *at < now || state.live == 0);
    state.purses.refused = open;
    for (request, at, code) in over {
        if let Some(what) = unjust(state, request, at, code) {
            state.break_law("L13", request, what);
        }
    }
}

/// Why a refusal is wrong.
fn unjust(state: &State, request: u32, at: Time, code: ErrorCode) -> Option<String> {
    let asked = &state.asked[request as usize];
    let world = &state.world;
    let budgets = &world.economy.budgets;
    let slots = match asked.steered {
        true => &asked.own_slots,
        false => &asked.slots,
    };
    let slots = slots.iter().map(|slot| &world.makers[slot.maker]);
    if code == ErrorCode::UnpricedModel {
        let mut priced = slots.filter(|maker| maker.price.is_some());
        return priced.next().map(|maker| {
            format!(
                "{} has a price, and no upstream is said to have one",
                maker.name
            )
        });
    }
    let wall = unix(state.clock.wall_at(at));
    let mut steers = !asked.steered;
    for maker in slots {
        let of = budgets.iter().filter(|budget| is_of(budget, asked, maker));
        let estimate = maker.rates().map(|rates| estimates(asked, rates).1);
        if estimate == Some(Pico::ZERO) {
            return Some(format!("{} is free", maker.name));
        }
        let mut is_closed = false;
        for budget in of {
            steers &= budget.then.is_some();
            let taken = state.spent(budget, window(budget, wall), at).most;
            let taken = taken.plus(state.reserved(budget, at, asked.epoch, request));
            is_closed |= match (budget.mode, estimate) {
                (Mode::Hard, Some(estimate)) => taken.plus(estimate) > budget.amount,
                (Mode::Hard, None) => {
                    budget.unpriced == UnpricedSpend::Refuse || taken >= budget.amount
                }
                (Mode::Soft, _) => budget.then.is_some() && taken >= budget.amount,
            };
        }
        if !is_closed {
            return Some(format!(
                "it is refused, and all budgets have room for {}",
                maker.name
            ));
        }
    }
    steers.then(|| "each of its budgets has another target, and it is refused".to_owned())
}

/// The process dies, and the next one reads the state file.
pub fn kill(state: &mut State) {
    let now = state.clock.now();
    state.purses.killed(now);
    state.tally.kills += 1;
    state.note("kill", 0, 0, None, "");
    state.purses.ledger = Some(opened(state));
}

/// A ledger with what the state file has.
pub fn opened(state: &State) -> Budgets {
    let unix = unix(state.clock.wall());
    let ledger = Budgets::start();
    ledger.configure(state.world.economy.budgets.clone(), unix);
    ledger.restore(state.purses.saved.clone(), unix);
    ledger
}
