//! One run: a world, its tree and dispatcher, its clients, the faults, and the calm after them.

use std::collections::BTreeMap;
use std::panic;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use pointsman::actors::fault_hook::FaultHook;
use pointsman::actors::tree::{ProviderSpec, Tree, TreeSpec};
use pointsman::budgets::Budgets;
use pointsman::dispatch::{
    Caching, Continuation, Dispatch, Endpoint, Flights, HedgeController, ProviderMark, RoutingState,
};
use pointsman::domain::chain::Targets;
use pointsman::domain::hash_map::HashMap;
use pointsman::domain::price::{PriceBook, Prices};
use pointsman::domain::price_sheet::{PriceSheet, Rates};
use pointsman::domain::profile::{ExplicitSettings, TargetPolicies, TargetPolicy};
use pointsman::domain::restart::RestartPolicy;
use pointsman::domain::secret::ApiKey;
use pointsman::domain::time::Time;
use pointsman::runtime::clock::Clock;
use pointsman::runtime::task;

use super::audit;
use super::calls::PLANTED;
use super::client::{self, End};
use super::dice::Dice;
use super::flood::{MAX_ANSWER, MAX_EVENT};
use super::keeping::Keeping;
use super::listen::Listener;
use super::plan::Plan;
use super::purses;
use super::ranking;
use super::reload::Reloads;
use super::scenario::Scenario;
use super::shelf::Shelf;
use super::state::{Shared, State, Violation};
use super::tally::Tally;
use super::upstream::Scripted;
use super::world::{Setup, World};

/// Messages between the handlers of one moment are far fewer.
const SETTLE: usize = 200;
/// After everything that the books know has ended. A crash may have made a cooldown longer than they know, and an
/// actor may be in quarantine.
const CALM: Duration = Duration::from_secs(1);
const CALM_AFTER_CRASHES: Duration = Duration::from_secs(3600);

/// How a run went.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub setup: Setup,
    pub tally: Tally,
    pub violation: Option<Violation>,
}

/// Runs one seed to its end.
pub fn run(setup: Setup) -> Outcome {
    // The dispatcher's jitter is drawn from the thread's generator.
    fastrand::seed(setup.seed);
    let world = Arc::new(World::draw(setup));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        // A flood keeps the run busy while its clock moves on: timers are looked at between any two turns.
        .event_interval(1)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime: {error}"),
    };
    let listener = world.listens.then(Listener::default);
    let heard = listener.as_ref().map(Listener::attach);
    let outcome = runtime.block_on(play(world, listener));
    drop(heard);
    drop(runtime);
    outcome
}

async fn play(world: Arc<World>, listener: Option<Listener>) -> Outcome {
    let setup = world.setup;
    // Half a second past a whole one, so that dates have something to round.
    let clock =
        Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_500));
    let (told, hear) = std::sync::mpsc::channel::<Shared>();
    let strikes = std::sync::OnceLock::new();
    let hear = std::sync::Mutex::new(hear);
    let chaos = FaultHook::hook(move |actor, message| {
        let shared: &Shared = strikes.get_or_init(|| {
            let hear = hear
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            hear.recv()
                .unwrap_or_else(|_| panic!("the state is sent before the first message"))
        });
        if shared.lock().crashes(actor, message) {
            // Without the hook's message: thousands of these are on purpose.
            panic::resume_unwind(Box::new("chaos"));
        }
    });
    let cells = Arc::default();
    let shared = Shared::new(State::new(Arc::clone(&world), clock, cells));
    drop(told.send(shared.clone()));
    let spec = tree_spec(&world, clock, chaos);
    let tree = Tree::start(spec.clone()).await;
    shared.lock().cells = tree.client().cells();
    {
        let mut state = shared.lock();
        state.purses.ledger = (!world.economy.budgets.is_empty()).then(|| purses::opened(&state));
        state.armed = true;
    }
    let mut reloads = Reloads::new(&world, &shared, clock, tree, spec);
    let auditor = task::guarded(audits(shared.clone(), listener.clone()));
    let writer = task::guarded(saves(shared.clone()));
    let mut kills = Dice::of(&[setup.seed, 15]);
    let mut clients = Vec::new();
    for index in 0..setup.requests {
        let mut plan = Plan::draw(&world, index);
        if !plan.pause.is_zero() {
            tokio::time::sleep(plan.pause).await;
        }
        reloads.turn().await;
        if kills.chance(world.economy.kills) {
            purses::kill(&mut shared.lock());
            reloads.renew();
        }
        plan.epoch = shared.lock().purses.epoch;
        clients.push(task::spawn(client::ask(
            shared.clone(),
            Arc::clone(&reloads.dispatch),
            plan,
        )));
    }
    for client in clients {
        if let Err(error) = client.await {
            shared
                .lock()
                .break_law("L1", 0, format!("a request's task panicked: {error}"));
        }
    }
    drop((auditor, writer));
    reloads.turn().await;
    recover(&shared, &reloads.dispatch).await;
    settle().await;
    let mut state = shared.lock();
    audit::idle(&mut state);
    audit::let_go(&mut state);
    if let Some(listener) = &listener {
        listener.judge(&mut state);
        state.tally.listened = state.tally.requests;
    }
    let mut tally = std::mem::take(&mut state.tally);
    for trouble in world.makers.iter().flat_map(|maker| &maker.troubles) {
        *tally.troubles.entry(trouble.kind()).or_default() += 1;
    }
    let troubles = world.makers.iter().flat_map(|maker| &maker.troubles);
    let out = |at: Duration| troubles.clone().any(|trouble| trouble.is_outage(at));
    for asked in &state.asked {
        if out(asked.arrived.since(Time::ZERO)) {
            tally.requests_in_outages += u64::from(asked.leader.is_none());
            tally.attempts_in_outages += asked.attempts.len() as u64;
        }
    }
    if setup.scenario != Scenario::Swarm {
        tally.back = back(&state);
    }
    ranking::judge(&mut state, &mut tally);
    tally.seeds = 1;
    tally.simulated = clock.now().since(Time::ZERO);
    tally.failed_attempts = state
        .attempts
        .iter()
        .filter(|call| !call.fault.serves())
        .count() as u64;
    tally.violations = u64::from(state.violation.is_some());
    Outcome {
        setup,
        tally,
        violation: state.violation.take(),
    }
}

/// The longest from the end of an outage to the provider's first good answer, or to its first attempt that was good
/// in the end.
fn back(state: &State) -> Duration {
    let makers = state.world.makers.iter().enumerate();
    let ends = makers.flat_map(|(number, maker)| {
        let outages = maker
            .troubles
            .iter()
            .filter(|trouble| trouble.is_outage(trouble.from));
        outages.map(move |outage| (number, Time::ZERO + outage.to))
    });
    let longest = ends.filter_map(|(number, end)| {
        let mut calls = state.attempts.iter();
        let first = calls
            .find(|call| call.spot.maker == number && call.started >= end && call.fault.serves())?;
        Some(first.started.since(end))
    });
    longest.max().unwrap_or_default()
}

/// All faults stop, and everything is served again (law L6).
async fn recover(shared: &Shared, dispatch: &Arc<Dispatch>) {
    let (names, pause, limited) = {
        let mut state = shared.lock();
        state.calm = true;
        let clock = state.clock;
        let mut names = state.world.names.clone();
        names.sort();
        names.dedup();
        let calm = if state.world.crashes.any() {
            CALM_AFTER_CRASHES
        } else {
            CALM
        };
        let limited = state
            .world
            .makers
            .iter()
            .any(|maker| maker.limits.rpm.is_some());
        let pause = state.model.all_well().since(clock.now()) + calm;
        (names, pause, limited)
    };
    settle().await;
    audit::idle(&mut shared.lock());
    let before = shared.lock().clock.now();
    tokio::time::sleep(pause).await;
    audit::all_up(&mut shared.lock());
    for name in names {
        if limited {
            // What a key may do in a minute is not to be in the way.
            tokio::time::sleep(Duration::from_secs(62)).await;
        }
        for _ in 0..2 {
            let number = shared.lock().asked.len() as u32;
            let plan = Plan {
                epoch: shared.lock().purses.epoch,
                ..Plan::patient(&name)
            };
            let end = client::ask(shared.clone(), Arc::clone(dispatch), plan).await;
            if !matches!(end, End::Served | End::OverBudget) {
                let what = format!("all is well since {before:?}, and `{name}` is not served");
                shared.lock().break_law("L6", number, what);
            }
        }
    }
}

/// Writes what was spent, as the state file's task does.
async fn saves(shared: Shared) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Some(ledger) = shared.lock().purses.ledger.clone() else {
            return;
        };
        let now = shared.lock().clock.now();
        if let Some(saved) = ledger.news().await {
            shared.lock().purses.saved = saved;
        }
        shared.lock().purses.saved_at = now;
    }
}

async fn audits(shared: Shared, listener: Option<Listener>) {
    let every = shared.lock().world.audit_every;
    loop {
        tokio::time::sleep(every).await;
        settle().await;
        let mut state = shared.lock();
        audit::audit(&mut state);
        if let Some(listener) = &listener {
            listener.judge(&mut state);
        }
    }
}

/// Lets everybody who has something to do at this moment do it.
async fn settle() {
    for _ in 0..SETTLE {
        tokio::task::yield_now().await;
    }
}

fn tree_spec(world: &World, clock: Clock, chaos: FaultHook) -> TreeSpec {
    let makers = world.makers.iter().enumerate();
    let providers = makers.map(|(number, maker)| ProviderSpec {
        name: maker.name.clone(),
        endpoint: maker.name.to_string(),
        keys: (0..maker.keys)
            .map(|key| Some(ApiKey::new(format!("{PLANTED}{number}-{key}"))))
            .collect(),
        accounts: Vec::new(),
        rotation: maker.rotation,
        latency_decay: Duration::from_secs(10),
        models: maker.models.clone(),
        limits: maker.limits,
        cooldown: maker.cooldown,
        breaker: maker.breaker,
        retry_budget: world.policy.retry_budget,
    });
    TreeSpec {
        generation: 0,
        oldest: 0,
        providers: providers.collect(),
        restored: std::collections::BTreeMap::new(),
        max_waiting: world.policy.max_waiting,
        restart: RestartPolicy::default(),
        fleet: None,
        clock,
        fault_hook: chaos,
    }
}

/// What the tokens of all makers cost.
fn prices(world: &World) -> PriceBook {
    let makers = world.makers.iter();
    let priced = makers.map(|maker| {
        let sheet = maker.rates().map(|(input, output)| PriceSheet {
            rates: Rates {
                input: Some(input),
                output: Some(output),
                ..Rates::default()
            },
            ..PriceSheet::default()
        });
        let usual = sheet.map(Arc::new);
        let models = Vec::new();
        (maker.name.clone(), Prices { usual, models })
    });
    PriceBook::new(priced, None)
}

/// What a maker fills in.
fn params(keeping: Option<&Keeping>, maker: usize) -> serde_json::Map<String, serde_json::Value> {
    let zero = keeping.is_some_and(|it| it.zeros[maker]);
    let zero = zero.then(|| ("temperature".to_owned(), 0.into()));
    zero.into_iter().collect()
}

/// What is kept and shared, as a reload goes on with it (`app/caching.rs`).
fn caching(
    keeping: &Keeping,
    world: &World,
    shared: &Shared,
    before: Option<&Dispatch>,
) -> Option<Arc<Caching>> {
    let keeps = keeping.keeps();
    if !keeps && !keeping.coalesce {
        return None;
    }
    let before = before.and_then(|before| before.cache.as_ref());
    let store = keeps.then(|| {
        let kept = before.and_then(|before| before.store().cloned());
        kept.unwrap_or_else(|| Arc::new(Shelf::new(shared, keeping.store)))
    });
    let flights = keeping.coalesce.then(|| {
        let kept = before.and_then(|before| before.flights().cloned());
        kept.unwrap_or_else(Flights::start)
    });
    let makers = world.makers.iter().enumerate();
    let marks = makers.map(|(number, maker)| {
        let home = format!(
            "https://{}.example/v{}",
            maker.name, keeping.versions[number]
        );
        let params = params(Some(keeping), number);
        (
            maker.name.clone(),
            ProviderMark::new(&home, &params, &HeaderMap::new()),
        )
    });
    let table = keeping.table(world);
    Some(Arc::new(Caching::new(
        table,
        store,
        flights,
        marks.collect(),
    )))
}

pub fn dispatch(
    world: &World,
    tree: &Tree,
    shared: &Shared,
    clock: Clock,
    generation: u64,
    before: Option<&Dispatch>,
    changed: Option<&Arc<Targets>>,
) -> Dispatch {
    let mut endpoints = HashMap::default();
    let keeping = shared.lock().keepings.last().cloned().flatten();
    let targets = before.map_or(&world.targets, |before| &before.targets);
    let targets = changed.unwrap_or(targets);
    for (number, maker) in world.makers.iter().enumerate() {
        let wire = Scripted {
            maker: number,
            shared: shared.clone(),
        };
        let endpoint = Endpoint {
            dialect: pointsman::wire::dialects::usual(),
            max_answer: MAX_ANSWER,
            max_event: MAX_EVENT,
            kind: String::new(),
            transport: Arc::new(wire),
            headers: HeaderMap::new(),
            credentials: Vec::new().into(),
            params: params(keeping.as_ref(), number),
            context_window: None,
            timeouts: maker.timeouts,
            retry: Arc::clone(&maker.retry),
            trace_context: false,
            forward_user_agent: false,
            auth: None,
            access: None,
            unsupported: Default::default(),
            native: Default::default(),
            output_limits: Default::default(),
            tokens: Default::default(),
            passthrough: false,
            fetch: None,
            base_priority: 1.0,
            data_policy: Default::default(),
            capabilities: Default::default(),
            tags: Default::default(),
            prefill: maker.prefill.map(|form| Continuation {
                form,
                transport: None,
            }),
        };
        endpoints.insert(maker.name.clone(), Arc::new(endpoint));
    }
    let known = before.and_then(|before| before.hedge_controller.as_ref());
    let hedger = world
        .policy
        .hedge
        .map(|policy| HedgeController::new(policy, known));
    let said = ExplicitSettings {
        rescue: Some(world.rescue),
        patience: Some(world.policy.patience),
        hedge: world.policy.hedge.is_some(),
        unsupported: None,
        fetch: None,
    };
    let policy = TargetPolicy::new(None, said);
    let keys = world.makers.iter();
    let keys = keys.map(|maker| (&maker.name, maker.rotation));
    let counted = before.map(|before| &before.routing);
    let (budgets, buffers) = {
        let state = shared.lock();
        (state.purses.ledger.clone(), state.buffers.clone())
    };
    let budgets = budgets.unwrap_or_else(Budgets::start);
    Dispatch {
        generation,
        routing: RoutingState::new(targets, false, counted).with_keys(keys),
        hedge_controller: hedger,
        cache: keeping.and_then(|it| caching(&it, world, shared, before)),
        catalog: None,
        policies: TargetPolicies::new(policy, BTreeMap::new()),
        tree: tree.client().clone(),
        targets: Arc::clone(targets),
        endpoints,
        policy: world.policy,
        clock,
        abort: pointsman::runtime::abort::Abort::default(),
        recorder: Arc::new(pointsman::telemetry::recorder::Recorder::new(0)),
        affinity: pointsman::affinity::Affinity::start(),
        prices: prices(world),
        cost_watch: Default::default(),
        budgets,
        assume_output: 1024,
        buffers,
    }
}
