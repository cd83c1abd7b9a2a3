//! Floor 3: what is spent, and what may be. One task owns the [`Ledger`] and the table of spending; all others ask it. So all
//! budgets of a request are looked at and reserved in one step, however many requests come at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::budget::{
    AdmittedCost, BudgetNews, BudgetPolicy, BudgetStanding, BudgetUse, BudgetView, CandidateCost,
    Closed, Ledger, Payer, PersistedMeter, RefusedCost, SpendBy, SpendInquiry, SpendKey,
    SpendLedger, SpendSum, SpendVerdict, Ticket,
};
use crate::domain::ids::ProviderName;
use crate::domain::money::Pico;
use crate::runtime::task;
use crate::telemetry::events;

/// The way to the task. It ends with the last of its clones.
#[derive(Clone, Debug)]
pub struct Budgets {
    asks: mpsc::UnboundedSender<BudgetAsk>,
    /// Whether there is a budget at all.
    any: Arc<AtomicBool>,
    views: watch::Receiver<Arc<Vec<BudgetView>>>,
}

/// What a request wants to spend.
#[derive(Debug)]
pub struct SpendRequest {
    /// Its client's name.
    pub client: Option<Arc<str>>,
    /// The target that it goes to.
    pub target: Arc<str>,
    /// Where it may go.
    pub candidates: Vec<CandidateCost>,
    /// The numbers of budgets that have sent it elsewhere already.
    pub steered: Vec<usize>,
    /// The moment, in seconds since 1970.
    pub unix: i64,
}

impl SpendRequest {
    fn inquiry(&self) -> SpendInquiry<'_> {
        SpendInquiry {
            payer: Payer {
                client: self.client.as_deref(),
                target: &self.target,
            },
            candidates: &self.candidates,
            steered: &self.steered,
            unix: self.unix,
        }
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub enum SpendDecision {
    /// It goes on.
    Admitted {
        /// What it has reserved.
        reservation: CostReservation,
        /// By candidate: why it may not go there.
        closed: Vec<Option<Closed>>,
        /// Whether a soft budget is used up.
        soft: bool,
        /// Of the budgets that bound it, the one with the least room before this was reserved.
        tightest: Option<BudgetStanding>,
    },
    /// It goes to another target, because the budget of this number is used up.
    Then(Arc<str>, usize),
    /// It does not go on.
    Refused(RefusedCost),
}

/// What a request has reserved. Dropped unsettled, it is given back: nothing was sent.
#[derive(Debug)]
pub struct CostReservation {
    ticket: Option<Ticket>,
    asks: mpsc::UnboundedSender<BudgetAsk>,
}

/// What an attempt cost.
#[derive(Clone, Debug)]
pub struct Charge {
    /// The provider that is paid.
    pub provider: ProviderName,
    /// The amount.
    pub cost: Pico,
    /// Whether its counts were estimated.
    pub estimated: bool,
}

/// A request that has ended.
#[derive(Debug)]
pub struct Spending {
    /// Its client's name.
    pub client: Option<Arc<str>>,
    /// What it asked for.
    pub target: Arc<str>,
    /// What its attempts cost.
    pub charges: Vec<Charge>,
    /// When it ended, in seconds since 1970.
    pub unix: i64,
}

/// Everything that the next process is to know.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SavedSpending {
    /// Windows of budgets.
    pub meters: Vec<PersistedMeter>,
    /// Rows of the table.
    pub rows: Vec<(SpendKey, SpendSum)>,
}

/// Where it is said how budgets are used.
pub type SpendingSink = Arc<dyn Fn(Vec<BudgetUse>) + Send + Sync>;

/// Names in the order of the columns that were asked for, and their sum.
pub type SpendRow = (Vec<String>, SpendSum);

enum BudgetAsk {
    Configure(Vec<BudgetPolicy>, i64),
    Admit(SpendRequest, oneshot::Sender<SpendDecision>),
    Look(SpendRequest, oneshot::Sender<SpendVerdict>),
    Ended(Ticket, Option<Spending>),
    Sums(Vec<SpendBy>, i64, i64, oneshot::Sender<Vec<SpendRow>>),
    News(oneshot::Sender<Option<SavedSpending>>),
    JoinFleet,
    FleetUses(SpendingSink, i64),
    FleetNews(Vec<BudgetNews>, i64),
    LeaveFleet(oneshot::Sender<Vec<BudgetUse>>, i64),
    Restore(SavedSpending, i64),
}

impl Budgets {
    /// Starts the task. There is no budget, and nothing is spent.
    pub fn start() -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        let (publish, views) = watch::channel(Arc::default());
        let keeper = BudgetKeeper {
            ledger: Ledger::default(),
            table: SpendLedger::default(),
            is_new: false,
            latest: 0,
            publish,
            // Held weakly: the task ends with the last handle.
            asks: asks.downgrade(),
        };
        task::detach(keeper.run(asked));
        Self {
            asks,
            any: Arc::default(),
            views,
        }
    }

    /// These budgets hold from now on; `unix`: the moment, in seconds since 1970.
    pub fn configure(&self, budgets: Vec<BudgetPolicy>, unix: i64) {
        self.any.store(!budgets.is_empty(), Ordering::Relaxed);
        self.send(BudgetAsk::Configure(budgets, unix));
    }

    /// Whether there is no budget, so that no question is worth its while.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// Whether a request may go on; what it may cost is reserved. `None`: nobody could be asked, which stops no request.
    pub async fn admit(&self, request: SpendRequest) -> Option<SpendDecision> {
        let (reply, decided) = oneshot::channel();
        self.send(BudgetAsk::Admit(request, reply));
        decided.await.ok()
    }

    /// What would become of it. Reserves nothing.
    pub async fn look(&self, request: SpendRequest) -> Option<SpendVerdict> {
        let (reply, decided) = oneshot::channel();
        self.send(BudgetAsk::Look(request, reply));
        decided.await.ok()
    }

    /// Counts what a request cost that had nothing reserved.
    pub fn spent(&self, spending: Spending) {
        self.send(BudgetAsk::Ended(Ticket::default(), Some(spending)));
    }

    /// Sums of the last `days` days up to this moment by these columns.
    pub async fn sums(&self, by: Vec<SpendBy>, days: i64, unix: i64) -> Vec<SpendRow> {
        let (reply, sums) = oneshot::channel();
        self.send(BudgetAsk::Sums(by, days, unix, reply));
        sums.await.unwrap_or_default()
    }

    /// How all budgets stand at this moment, as of the last request that ended.
    pub fn views(&self, unix: i64) -> Vec<BudgetView> {
        let mut views = self.views.borrow().as_ref().clone();
        for view in &mut views {
            // A window that nobody has asked in yet.
            if view.ends.is_some_and(|ends| ends <= unix) {
                view.spent = Pico::ZERO;
                view.over_run = Pico::ZERO;
                let budget = &view.budget;
                let number = budget.period.number(unix, &budget.zone);
                view.ends = budget.period.begins(number + 1, &budget.zone);
            }
        }
        views
    }

    /// All that is counted, if something was since the last time that this was asked.
    pub async fn news(&self) -> Option<SavedSpending> {
        let (reply, news) = oneshot::channel();
        self.send(BudgetAsk::News(reply));
        news.await.ok().flatten()
    }

    /// What an earlier process has counted.
    pub fn restore(&self, saved: SavedSpending, unix: i64) {
        if saved != SavedSpending::default() {
            self.send(BudgetAsk::Restore(saved, unix));
        }
    }

    /// From now on the budgets are spent in parts that a fleet gives.
    pub fn join_fleet(&self) {
        self.send(BudgetAsk::JoinFleet);
    }

    /// Says there how all budgets are used at this moment.
    pub fn fleet_uses(&self, sink: SpendingSink, unix: i64) {
        self.send(BudgetAsk::FleetUses(sink, unix));
    }

    /// What the fleet has said.
    pub fn fleet_news(&self, news: Vec<BudgetNews>, unix: i64) {
        self.send(BudgetAsk::FleetNews(news, unix));
    }

    /// What was spent, by a process that leaves its fleet. From now on nothing is admitted that costs something.
    pub async fn leave_fleet(&self, unix: i64) -> Vec<BudgetUse> {
        let (reply, uses) = oneshot::channel();
        self.send(BudgetAsk::LeaveFleet(reply, unix));
        uses.await.unwrap_or_default()
    }

    fn send(&self, ask: BudgetAsk) {
        // The task outlives its handles.
        drop(self.asks.send(ask));
    }
}

impl CostReservation {
    /// What is reserved, in each budget that applies.
    pub fn amount(&self) -> Pico {
        self.ticket.as_ref().map_or(Pico::ZERO, Ticket::most)
    }

    /// The request has ended and cost this.
    pub fn settle(mut self, spending: Spending) {
        if let Some(ticket) = self.ticket.take() {
            drop(self.asks.send(BudgetAsk::Ended(ticket, Some(spending))));
        }
    }
}

impl Drop for CostReservation {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            drop(self.asks.send(BudgetAsk::Ended(ticket, None)));
        }
    }
}

/// The state of the task.
struct BudgetKeeper {
    ledger: Ledger,
    table: SpendLedger,
    /// Something was counted since the last time that it was asked.
    is_new: bool,
    /// The latest moment that it was told of, in seconds since 1970.
    latest: i64,
    publish: watch::Sender<Arc<Vec<BudgetView>>>,
    asks: mpsc::WeakUnboundedSender<BudgetAsk>,
}

impl BudgetKeeper {
    async fn run(mut self, mut asked: mpsc::UnboundedReceiver<BudgetAsk>) {
        while let Some(ask) = asked.recv().await {
            match ask {
                BudgetAsk::Configure(budgets, unix) => {
                    self.ledger.configure(budgets, unix);
                    self.publish(unix);
                }
                // Whoever asked may be gone: what was reserved comes back by itself.
                BudgetAsk::Admit(request, reply) => {
                    let unix = request.unix;
                    if let Some(decision) = self.admit(&request) {
                        drop(reply.send(decision));
                    }
                    self.publish(unix);
                }
                BudgetAsk::Look(request, reply) => {
                    drop(reply.send(self.ledger.look(request.inquiry())));
                }
                BudgetAsk::Ended(ticket, spending) => self.ended(ticket, spending),
                BudgetAsk::Sums(by, days, unix, reply) => {
                    drop(reply.send(self.table.sums(&by, days, unix)));
                }
                BudgetAsk::News(reply) => {
                    let news = std::mem::take(&mut self.is_new).then(|| self.saved());
                    drop(reply.send(news));
                }
                BudgetAsk::JoinFleet => self.ledger.join_fleet(),
                BudgetAsk::FleetUses(sink, unix) => sink(self.ledger.fleet_uses(unix)),
                BudgetAsk::FleetNews(news, unix) => {
                    self.ledger.fleet_news(news, unix);
                    self.publish(unix);
                }
                BudgetAsk::LeaveFleet(reply, unix) => {
                    drop(reply.send(self.ledger.leave_fleet(unix)));
                }
                BudgetAsk::Restore(saved, unix) => {
                    self.ledger.restore(saved.meters, unix);
                    for (key, sum) in saved.rows {
                        self.table.restore(key, &sum);
                    }
                    self.publish(unix);
                }
            }
        }
    }

    fn admit(&mut self, request: &SpendRequest) -> Option<SpendDecision> {
        let asks = self.asks.upgrade()?;
        Some(match self.ledger.admit(request.inquiry()) {
            SpendVerdict::Admitted(AdmittedCost {
                ticket,
                closed,
                soft,
                tightest,
            }) => SpendDecision::Admitted {
                reservation: CostReservation {
                    ticket: Some(ticket),
                    asks,
                },
                closed,
                soft,
                tightest,
            },
            SpendVerdict::Then(target, number) => SpendDecision::Then(target, number),
            SpendVerdict::Refused(refused) => SpendDecision::Refused(refused),
        })
    }

    fn ended(&mut self, ticket: Ticket, spending: Option<Spending>) {
        let Some(spending) = spending else {
            self.ledger.release(ticket);
            self.publish(self.latest);
            return;
        };
        let Spending {
            client,
            target,
            charges,
            unix,
        } = spending;
        let client = client.as_deref();
        let payer = Payer {
            client,
            target: &target,
        };
        let costs: Vec<(ProviderName, Pico)> = charges
            .iter()
            .map(|charge| (charge.provider.clone(), charge.cost))
            .collect();
        for mark in self.ledger.settle(ticket, payer, &costs, unix) {
            events::budget_mark(&mark.owner, &mark.what, mark.percent, mark.spent);
        }
        let last = charges.len().saturating_sub(1);
        for (place, charge) in charges.iter().enumerate() {
            let sum = SpendSum {
                cost: charge.cost,
                estimated: if charge.estimated {
                    charge.cost
                } else {
                    Pico::ZERO
                },
                // The one that the request ended with.
                requests: u64::from(place == last),
                attempts: 1,
            };
            let provider = charge.provider.as_str();
            self.table
                .add(unix, client.unwrap_or_default(), &target, provider, &sum);
        }
        self.is_new |= !charges.is_empty();
        self.publish(unix);
    }

    fn saved(&self) -> SavedSpending {
        let rows = self.table.rows();
        SavedSpending {
            meters: self.ledger.persisted(),
            rows: rows.map(|(key, sum)| (key.clone(), *sum)).collect(),
        }
    }

    fn publish(&mut self, unix: i64) {
        self.latest = self.latest.max(unix);
        if !self.ledger.is_empty() || !self.publish.borrow().is_empty() {
            self.publish.send_replace(Arc::new(self.ledger.views(unix)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::budget::{BudgetScope, Mode, Period, Spender, UnpricedSpend};
    use crate::domain::zone::Zone;

    const UNIT: u64 = 1_000_000_000_000;

    fn started() -> Budgets {
        let budgets = Budgets::start();
        let budget = BudgetPolicy {
            scope: BudgetScope::all_of(Spender::Whole),
            amount: Pico::new(UNIT),
            period: Period::Total,
            zone: Zone::utc(),
            mode: Mode::Hard,
            unpriced: UnpricedSpend::Refuse,
            then: None,
        };
        budgets.configure(vec![budget], 0);
        budgets
    }

    async fn reserved(budgets: &Budgets) -> Option<CostReservation> {
        let candidate = CandidateCost {
            provider: "p".into(),
            estimate: Some(Pico::new(UNIT * 2 / 3)),
        };
        let request = SpendRequest {
            client: None,
            target: "v".into(),
            candidates: vec![candidate],
            steered: Vec::new(),
            unix: 0,
        };
        match budgets.admit(request).await? {
            SpendDecision::Admitted { reservation, .. } => Some(reservation),
            _ => None,
        }
    }

    #[tokio::test]
    async fn what_is_dropped_is_free_and_what_is_settled_is_kept() {
        let budgets = started();
        assert!(!budgets.is_empty());
        let one = reserved(&budgets).await.unwrap();
        assert!(reserved(&budgets).await.is_none());
        drop(one);
        // What is asked later is answered later.
        assert_eq!(budgets.news().await, None);
        assert_eq!(budgets.views(0)[0].reserved, Pico::ZERO);
        let two = reserved(&budgets).await.unwrap();
        assert_eq!(budgets.news().await, None);
        let charge = Charge {
            provider: "p".into(),
            cost: Pico::new(UNIT / 2),
            estimated: true,
        };
        two.settle(Spending {
            client: None,
            target: "v".into(),
            charges: vec![charge],
            unix: 0,
        });
        assert!(reserved(&budgets).await.is_none());
        let sums = budgets.sums(vec![SpendBy::Target], 1, 0).await;
        assert_eq!(sums[0].0, ["v"]);
        assert_eq!(sums[0].1.estimated, Pico::new(UNIT / 2));
        let saved = budgets.news().await.unwrap();
        let next = started();
        next.restore(saved.clone(), 0);
        assert!(reserved(&next).await.is_none());
        assert_eq!(next.views(0)[0].spent, Pico::new(UNIT / 2));
        assert_eq!(next.sums(Vec::new(), 1, 0).await[0].1.requests, 1);
        assert_eq!(next.news().await, None);
    }
}
