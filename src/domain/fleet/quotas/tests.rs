//! When shares are asked for, and what is kept to with and without a store.

use super::*;
use crate::domain::ids::KeyId;

const MS: Duration = Duration::from_millis(1);
const NOW: Time = Time::from_millis(100_000);
const OWNER: Fingerprint = Fingerprint([1; 16]);

fn holder() -> LimitHolder {
    LimitHolder::Key(KeyId {
        provider: "p".into(),
        index: 1,
    })
}

fn uses(demand: u64) -> Vec<LimitUse> {
    vec![LimitUse {
        kind: QuotaKind::Requests,
        limit: 100,
        used: 0,
        demand,
        largest: 1,
    }]
}

fn quotas(policy: LostPolicy) -> FleetQuotas {
    FleetQuotas::new("self.1".into(), policy, NOW)
}

/// One round: all count, and the store is asked.
fn round(quotas: &mut FleetQuotas, demand: u64, now: &mut Time) -> Vec<QuotaOrder> {
    *now = quotas.count_at.max(*now);
    assert_eq!(quotas.due(*now, 0.5)[0], QuotaOrder::Count);
    quotas.counted(&holder(), OWNER, uses(demand), *now);
    *now = *now + 20 * MS;
    quotas.due(*now, 0.5)
}

fn asked(orders: &[QuotaOrder]) -> Option<(u64, LimitSubject, ShareQuestion)> {
    match orders.first()? {
        QuotaOrder::Ask(round, shares, _) => Some((*round, shares[0].0, shares[0].1)),
        QuotaOrder::Count => None,
    }
}

fn answer(of: (u64, LimitSubject, ShareQuestion), share: u64) -> QuotaAnswers {
    QuotaAnswers {
        round: of.0,
        shares: vec![(of.1, GivenShare { share, nodes: 2 })],
        claims: Vec::new(),
    }
}

fn told(effects: &[QuotaEffect]) -> Option<OwnShare> {
    effects.iter().find_map(|effect| match effect {
        QuotaEffect::Share(_, shares) => Some(shares[0].1),
        QuotaEffect::Budgets(_) => None,
    })
}

#[test]
fn a_limit_in_use_is_asked_about_each_round_and_an_idle_one_now_and_then() {
    let (mut quotas, mut now) = (quotas(LostPolicy::default()), NOW);
    quotas.up(now);
    let first = asked(&round(&mut quotas, 3, &mut now)).unwrap();
    assert_eq!((first.2.has, first.2.demand, first.2.limit), (10, 3, 100));
    let effects = quotas.answered(answer(first, 60), now + MS);
    let own = told(&effects).unwrap();
    assert_eq!((own.share, own.until), (60, now + 2000 * MS));
    let next = asked(&round(&mut quotas, 3, &mut now)).unwrap();
    assert_eq!(next.2.has, 60, "it says what it keeps to");
    quotas.answered(answer(next, 60), now);
    let mut idle = 0;
    for _ in 0..100 {
        if let Some(of) = asked(&round(&mut quotas, 0, &mut now)) {
            idle += u32::from(of.2.demand == 0);
            quotas.answered(answer(of, 60), now);
        }
    }
    assert!((10..30).contains(&idle), "{idle}");
}

#[test]
fn who_has_twice_what_it_needs_asks_a_third_as_often_until_it_needs_more() {
    let (mut quotas, mut now) = (quotas(LostPolicy::default()), NOW);
    quotas.up(now);
    let mut rounds = |demand: u64, count: u64| {
        let asks = (0..count).filter_map(|_| {
            let of = asked(&round(&mut quotas, demand, &mut now))?;
            quotas.answered(answer(of, 100), now);
            Some(of.2)
        });
        asks.collect::<Vec<_>>()
    };
    let ample = rounds(1, 20);
    // In the first two rounds, as its share changes, and then in every third of twenty.
    assert_eq!(ample.len(), 8, "{ample:?}");
    assert_eq!(
        ample.last().unwrap().ttl,
        4000 * MS,
        "as many questions fit in"
    );
    // What it wants grows.
    let busy = rounds(20, 4);
    assert_eq!(busy.len(), 4);
    assert_eq!(busy[3].ttl, 2000 * MS);
}

#[test]
fn who_is_told_the_same_again_and_wants_as_much_as_before_asks_a_third_as_often() {
    let (mut quotas, mut now) = (quotas(LostPolicy::default()), NOW);
    quotas.up(now);
    let mut rounds = |demand: u64, shares: &mut dyn Iterator<Item = u64>| {
        let asks = (0..20).filter_map(|_| {
            let of = asked(&round(&mut quotas, demand, &mut now))?;
            quotas.answered(answer(of, shares.next()?), now);
            Some(of.2)
        });
        asks.count()
    };
    rounds(50, &mut std::iter::repeat(40));
    let steady = rounds(50, &mut std::iter::repeat(40));
    assert_eq!(steady, 7, "the multiples of three from 21 to 40");
    let changing = rounds(50, &mut (0..).map(|number| 40 + number % 2 * 20));
    // 42 and 45 have their turn, and in 45 it is told another share than before: from then on each round.
    assert_eq!(changing, 17, "a share that changes");
    rounds(50, &mut std::iter::repeat(0));
    let waiting = rounds(50, &mut std::iter::repeat(0));
    assert_eq!(waiting, 20, "one that waits for a share");
}

/// Requests under way at the same time, of 100: in how many of 30 rounds it asks when they go up and down like this.
fn asks_of_places(under_way: [u64; 2]) -> usize {
    let (mut quotas, mut now) = (quotas(LostPolicy::default()), NOW);
    quotas.up(now);
    let asks = (0..40).filter(|number| {
        now = quotas.count_at.max(now);
        quotas.due(now, 0.5);
        // Each for as long as what was wanted before it is forgotten.
        let mut places = uses(under_way[number / 10 % 2]);
        places[0].kind = QuotaKind::Places;
        quotas.counted(&holder(), OWNER, places, now);
        now = now + 20 * MS;
        let Some(of) = asked(&quotas.due(now, 0.5)) else {
            return false;
        };
        quotas.answered(answer(of, 40), now);
        *number >= 10
    });
    asks.count()
}

#[test]
fn places_may_go_up_and_down_by_a_quarter() {
    assert_eq!(asks_of_places([50, 61]), 10, "every third round");
    let more = asks_of_places([50, 90]);
    assert!(more > 10, "and when much more is wanted at once: {more}");
}

/// In which of twelve rounds it asks for fifty, when `share` is answered in these.
fn rounds_of_questions(share: impl Fn(usize) -> Option<u64>) -> Vec<u64> {
    let (mut quotas, mut now) = (quotas(LostPolicy::default()), NOW);
    quotas.up(now);
    let mut rounds = Vec::new();
    for number in 1..=12 {
        let Some(of) = asked(&round(&mut quotas, 50, &mut now)) else {
            continue;
        };
        rounds.push(of.0);
        if let Some(share) = share(number) {
            quotas.answered(answer(of, share), now);
        }
    }
    rounds
}

#[test]
fn a_share_that_ends_soon_is_asked_for_before_its_turn() {
    // In the third round it has just changed, so what is told then lasts for two seconds only.
    let rounds = rounds_of_questions(|number| Some(if number < 2 { 40 } else { 80 }));
    assert_eq!(rounds, [1, 2, 3, 5, 6, 9, 12]);
}

#[test]
fn a_question_without_an_answer_is_asked_again_in_the_next_round() {
    let rounds = rounds_of_questions(|number| (![6, 7].contains(&number)).then_some(40));
    assert_eq!(rounds, [1, 2, 3, 6, 7, 8, 9, 12]);
}

#[test]
fn an_answer_to_an_earlier_question_changes_nothing() {
    let (mut quotas, mut now) = (quotas(LostPolicy::default()), NOW);
    quotas.up(now);
    let first = asked(&round(&mut quotas, 3, &mut now)).unwrap();
    let second = asked(&round(&mut quotas, 3, &mut now)).unwrap();
    assert!(quotas.answered(answer(first, 90), now).is_empty());
    assert!(told(&quotas.answered(answer(second, 20), now)).is_some());
}

#[test]
fn a_smaller_share_is_said_to_be_kept_to_when_it_is() {
    let (mut quotas, mut now) = (quotas(LostPolicy::default()), NOW);
    quotas.up(now);
    for share in [80, 80, 30] {
        let of = asked(&round(&mut quotas, 3, &mut now)).unwrap();
        quotas.answered(answer(of, share), now);
    }
    // Whoever counts has not said anything since.
    now = quotas.count_at;
    quotas.due(now, 0.5);
    now = now + 20 * MS;
    assert_eq!(asked(&quotas.due(now, 0.5)).unwrap().2.has, 80);
    assert_eq!(asked(&round(&mut quotas, 3, &mut now)).unwrap().2.has, 30);
}

#[test]
fn without_a_store_a_share_ends_by_itself_and_goes_by_the_policy() {
    for (word, amount, refuses) in [
        (OnLost::Share, 50, false),
        (OnLost::Local, 100, false),
        (OnLost::Refuse, 0, true),
    ] {
        let policy = LostPolicy {
            rates: word,
            ..LostPolicy::default()
        };
        let (mut quotas, mut now) = (quotas(policy), NOW);
        quotas.up(now);
        quotas.saw(&["self.1".into(), "other.1".into()], now);
        let of = asked(&round(&mut quotas, 3, &mut now)).unwrap();
        let own = told(&quotas.answered(answer(of, 70), now)).unwrap();
        quotas.down(now);
        assert_eq!(own.amount(now + 1999 * MS), 70);
        let later = now + 2001 * MS;
        assert_eq!(
            (own.amount(later), own.is_refused(later)),
            (amount, refuses)
        );
        assert_eq!(asked(&round(&mut quotas, 3, &mut now)), None);
    }
}

#[test]
fn a_store_that_never_was_there_leaves_a_small_part() {
    let (mut quotas, mut now) = (quotas(LostPolicy::default()), NOW);
    assert!(round(&mut quotas, 3, &mut now).is_empty());
    assert_eq!(OwnShare::first(100, OnLost::Share).amount(now), 10);
    assert_eq!(OwnShare::first(100, OnLost::Refuse).amount(now), 0);
    let own = told(&quotas.down(now)).unwrap();
    assert_eq!(own.amount(now + MS), 10, "as if there were ten processes");
}

#[test]
fn without_scripts_all_parts_make_the_whole() {
    let nodes: Vec<FleetNode> = (0..7).map(|n| format!("n{n}.1").into()).collect();
    let parts = nodes.iter().map(|node| {
        let (mut now, policy) = (NOW, LostPolicy::default());
        let mut quotas = FleetQuotas::new(node.clone(), policy, now);
        quotas.up(now);
        round(&mut quotas, 1, &mut now);
        quotas.scriptless(now);
        told(&quotas.saw(&nodes, now)).unwrap().amount(now + MS)
    });
    assert_eq!(parts.sum::<u64>(), 100);
}

#[test]
fn two_who_count_the_same_here_share_what_the_process_has() {
    let (mut quotas, mut now) = (quotas(LostPolicy::default()), NOW);
    quotas.up(now);
    let client = LimitHolder::Client("c".into());
    now = now + MS;
    quotas.due(now, 0.5);
    quotas.counted(&holder(), OWNER, uses(1), now);
    quotas.counted(&client, OWNER, uses(1), now);
    now = now + 20 * MS;
    let of = asked(&quotas.due(now, 0.5)).unwrap();
    assert_eq!(of.2.demand, 2);
    let effects = quotas.answered(answer(of, 61), now);
    let shares = effects
        .iter()
        .filter_map(|it| told(std::slice::from_ref(it)));
    assert_eq!(shares.map(|own| own.share).collect::<Vec<_>>(), [31, 30]);
}
