//! Worlds whose clients have budgets.

use std::sync::Arc;
use std::time::Duration;

use pointsman::domain::budget::{BudgetPolicy, BudgetScope, Mode, Period, Spender, UnpricedSpend};
use pointsman::domain::chain::VirtualEntry;
use pointsman::domain::limits::DispatchPolicy;
use pointsman::domain::money::Pico;
use pointsman::domain::zone::Zone;

use super::dice::Dice;
use super::fault::Fault;
use super::purses::{Economy, name};
use super::scenario::maker;
use super::world::{self, CrashRates, Maker, Manners, Setup, World};

/// Where an upstream costs nothing.
const FREE: &str = "p2";

/// What `requests` requests of a hundred tokens cost at the dearest upstream.
fn amount(makers: &[Maker], requests: u64) -> Pico {
    let rates = makers.iter().filter_map(Maker::rates);
    let dearest = rates.map(|(_, output)| output).max().unwrap_or_default();
    dearest.times(100 * requests)
}

fn budget(owner: Spender, amount: Pico, period: Period) -> BudgetPolicy {
    BudgetPolicy {
        scope: BudgetScope::all_of(owner),
        amount,
        period,
        zone: Zone::utc(),
        mode: Mode::Hard,
        unpriced: UnpricedSpend::Refuse,
        then: None,
    }
}

fn client(number: u64) -> Spender {
    Spender::Client(name(number).into())
}

/// Budgets in a world that was drawn for something else: windows without ends, for its runs are short.
pub fn of_swarm(world: &World, dice: &mut Dice) -> Economy {
    let of = |requests: u64| amount(&world.makers, requests).max(Pico::new(1));
    let mut budgets = Vec::new();
    for number in 0..2 {
        let requests = dice.pick(&[5, 20, 80]);
        budgets.push(budget(client(number), of(requests), Period::Total));
    }
    if dice.chance(0.5) {
        let provider = Spender::Provider(dice.pick(&world.makers).name);
        budgets.push(budget(provider, of(40), Period::Total));
    }
    if dice.chance(0.5) {
        budgets.push(budget(Spender::Whole, of(150), Period::Total));
    }
    for budget in &mut budgets {
        budget.mode = dice.pick(&[Mode::Hard, Mode::Hard, Mode::Soft]);
        budget.unpriced = dice.pick(&[UnpricedSpend::Refuse, UnpricedSpend::Allow]);
    }
    Economy {
        budgets,
        clients: 3,
        group: 0,
        kills: 0.0,
    }
}

/// Four upstreams: a dear one, a cheap one, a free one and one without a price. Windows of several lengths end in the middle of
/// the run.
pub fn world(setup: Setup) -> World {
    let dice = &mut Dice::of(&[setup.seed, 16]);
    let mut makers: Vec<Maker> = (0..4).map(maker).collect();
    let prices = [Some(1_000_000), Some(300_000), Some(0), None];
    for (maker, price) in makers.iter_mut().zip(prices) {
        maker.price = price.map(Pico::new);
    }
    // Eight in the morning in UTC is one hour before midnight there.
    let east = Zone {
        name: "Far/East".into(),
        offset: Arc::new(|_| 15 * 3600),
    };
    let of = |requests: u64| amount(&makers, requests);
    let mut budgets = vec![
        budget(client(0), of(12), Period::Hours(1)),
        BudgetPolicy {
            then: Some(format!("{FREE}:m0").into()),
            ..budget(client(1), of(8), Period::Hours(2))
        },
        BudgetPolicy {
            zone: east.clone(),
            mode: Mode::Soft,
            ..budget(client(2), of(10), Period::Day)
        },
    ];
    if dice.chance(0.7) {
        budgets.push(BudgetPolicy {
            zone: east,
            unpriced: UnpricedSpend::Allow,
            ..budget(Spender::Provider("p0".into()), of(40), Period::Day)
        });
    }
    if dice.chance(0.5) {
        budgets.push(budget(Spender::Whole, of(120), Period::Total));
    }
    let chains = [
        VirtualEntry::ordered("smart", ["p0:m0", "p1:m0"].map(str::to_owned)),
        VirtualEntry::ordered("open", ["p3:m0", "p1:m0"].map(str::to_owned)),
        VirtualEntry::ordered("any", ["p0:m0", "p2:m0"].map(str::to_owned)),
    ];
    let entries: Vec<_> = makers.iter().map(world::entry).collect();
    let crash = dice.pick(&[0.0, 0.002]);
    let names = ["smart", "smart", "smart", "open", "any", "p3:m0"];
    World {
        setup,
        targets: world::built(&entries, &chains),
        names: names.map(str::to_owned).to_vec(),
        makers,
        policy: DispatchPolicy::default(),
        rates: vec![(Fault::Error500, 0.03), (Fault::Unavailable, 0.03)],
        manners: Manners {
            streams: 0.5,
            hang_ups: dice.pick(&[0.0, 0.1]),
            slow_readers: 0.0,
            stoppers: 0.0,
            bursts: 0.0,
            short_deadlines: 0.0,
            own_faults: 0.0,
            poison: 0.0,
            pause: Duration::from_millis(400),
        },
        crashes: CrashRates {
            supervisor: crash / 5.0,
            router: crash,
            provider: crash,
            key: crash,
        },
        only_crashes: false,
        reloads: 0.0,
        rescue: None,
        diverges: 0.0,
        listens: false,
        economy: Economy {
            budgets,
            clients: 3,
            group: 64,
            kills: dice.pick(&[0.0, 0.01]),
        },
        keeping: None,
        virtuals: Vec::new(),
        sessions: 0,
        audit_every: Duration::from_millis(7003),
    }
}
