use std::sync::Arc;

use proptest::prelude::*;

use super::period::{civil, date};
use super::*;
use crate::domain::ids::ProviderName;
use crate::domain::money::Pico;
use crate::domain::zone::Zone;

/// 2026-11-29 12:00 UTC, a Sunday.
const NOON: i64 = 1_795_953_600;
const DAY: i64 = 86_400;

const CI: Payer<'_> = Payer {
    client: Some("ci"),
    target: "v",
};
const ANYONE: Payer<'_> = Payer {
    client: None,
    target: "v",
};

fn cents(cents: u64) -> Pico {
    Pico::new(cents * 10_000_000_000)
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

fn client() -> Spender {
    Spender::Client("ci".into())
}

fn at(provider: &str, estimate: Option<u64>) -> CandidateCost {
    CandidateCost {
        provider: provider.into(),
        estimate: estimate.map(cents),
    }
}

/// A request that no budget has sent elsewhere.
fn asked<'a>(payer: Payer<'a>, candidates: &'a [CandidateCost], unix: i64) -> SpendInquiry<'a> {
    SpendInquiry {
        payer,
        candidates,
        steered: &[],
        unix,
    }
}

/// Why it is refused, if it is.
fn why(verdict: &SpendVerdict) -> Option<&Refused> {
    match verdict {
        SpendVerdict::Refused(refused) => Some(&refused.why),
        _ => None,
    }
}

fn ledger(budgets: Vec<BudgetPolicy>) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.configure(budgets, NOON);
    ledger
}

fn admitted(ledger: &mut Ledger, candidates: &[CandidateCost], unix: i64) -> Option<AdmittedCost> {
    match ledger.admit(asked(CI, candidates, unix)) {
        SpendVerdict::Admitted(admitted) => Some(admitted),
        _ => None,
    }
}

fn paid(provider: &str, amount: u64) -> [(ProviderName, Pico); 1] {
    [(provider.into(), cents(amount))]
}

fn stands(ledger: &mut Ledger, unix: i64) -> (Pico, Pico, Pico) {
    let view = ledger.views(unix).swap_remove(0);
    (view.spent, view.reserved, view.over_run)
}

#[test]
fn ten_at_once_share_what_is_there() {
    let mut ledger = ledger(vec![budget(client(), cents(100), Period::Day)]);
    let here = [at("p", Some(15))];
    let tickets: Vec<_> = (0..10)
        .filter_map(|_| admitted(&mut ledger, &here, NOON))
        .collect();
    assert_eq!(tickets.len(), 6);
    for admitted in tickets {
        ledger.settle(admitted.ticket, CI, &paid("p", 5), NOON);
    }
    assert_eq!(
        stands(&mut ledger, NOON),
        (cents(30), Pico::ZERO, Pico::ZERO)
    );
    let more: Vec<_> = (0..10)
        .filter_map(|_| admitted(&mut ledger, &here, NOON))
        .collect();
    assert_eq!(more.len(), 4);
    // One costs more than it reserved: that is counted, and never refused half-way.
    for (place, admitted) in more.into_iter().enumerate() {
        let cost = if place == 0 { 20 } else { 5 };
        ledger.settle(admitted.ticket, CI, &paid("p", cost), NOON);
    }
    assert_eq!(stands(&mut ledger, NOON), (cents(65), Pico::ZERO, cents(5)));
}

#[test]
fn a_refusal_says_when_there_is_room_again() {
    let mut ledger = ledger(vec![
        budget(client(), cents(10), Period::Day),
        budget(Spender::Whole, cents(10), Period::Month),
    ]);
    let here = [at("p", Some(10))];
    let first = admitted(&mut ledger, &here, NOON).unwrap();
    ledger.settle(first.ticket, CI, &paid("p", 10), NOON);
    let refused = |ledger: &mut Ledger, payer, unix| {
        let verdict = ledger.admit(asked(payer, &here, unix));
        match why(&verdict)? {
            Refused::Exhausted {
                until, too_large, ..
            } => Some((*until, *too_large)),
            Refused::Unpriced { .. } | Refused::Short { .. } => None,
        }
    };
    // The end of the month is later than the end of the day.
    let december = NOON + DAY + DAY / 2;
    assert_eq!(
        refused(&mut ledger, CI, NOON),
        Some((Some(december), false))
    );
    assert_eq!(
        refused(&mut ledger, ANYONE, NOON),
        Some((Some(december), false))
    );
    assert!(admitted(&mut ledger, &here, december).is_some());
    let dear = [at("p", Some(11))];
    let verdict = ledger.admit(asked(CI, &dear, december + 40 * DAY));
    let SpendVerdict::Refused(refused) = verdict else {
        panic!("{verdict:?}");
    };
    let Refused::Exhausted {
        too_large, what, ..
    } = &refused.why
    else {
        panic!("{refused:?}");
    };
    assert!(*too_large && what.contains("client `ci`"), "{what}");
    // Which budget refuses what, and how it stands.
    assert_eq!(refused.closed, [Some(Closed::Budget(0))]);
    let by = refused.by.unwrap();
    assert_eq!(
        (by.amount, by.spent, by.reserved),
        (cents(10), Pico::ZERO, cents(10))
    );
    assert_eq!(by.ends, Some(december + 41 * DAY));
}

#[test]
fn only_what_costs_too_much_is_left_out() {
    let mut ledger = ledger(vec![
        budget(client(), cents(20), Period::Total),
        budget(Spender::Provider("dear".into()), cents(5), Period::Day),
    ]);
    let chain = [
        at("dear", Some(10)),
        at("unknown", None),
        at("cheap", Some(10)),
        at("free", Some(0)),
    ];
    let one = admitted(&mut ledger, &chain, NOON).unwrap();
    let unpriced = Some(Closed::Unpriced(0));
    let out = |budget| Some(Closed::Budget(budget));
    assert_eq!(one.closed, [out(1), unpriced, None, None]);
    ledger.settle(one.ticket, CI, &paid("cheap", 20), NOON);
    // What is free passes when nothing is left.
    let two = admitted(&mut ledger, &chain, NOON).unwrap();
    assert_eq!(two.closed, [out(0), unpriced, out(0), None]);
    assert_eq!(two.ticket, Ticket::default());
    let verdict = ledger.admit(asked(CI, &chain[1..2], NOON));
    assert!(matches!(why(&verdict), Some(Refused::Unpriced { .. })));
    // No window follows.
    let verdict = ledger.admit(asked(CI, &chain[2..3], NOON + 400 * DAY));
    assert!(matches!(
        why(&verdict),
        Some(Refused::Exhausted { until: None, .. })
    ));
}

#[test]
fn a_budget_may_send_what_it_refuses_elsewhere() {
    let then = Some(Arc::from("local"));
    let mut ledger = ledger(vec![
        BudgetPolicy {
            then,
            ..budget(client(), cents(10), Period::Day)
        },
        budget(client(), cents(12), Period::Day),
    ]);
    let here = [at("p", Some(11))];
    let verdict = ledger.admit(asked(CI, &here, NOON));
    assert_eq!(verdict, SpendVerdict::Then("local".into(), 0));
    let there = |ledger: &mut Ledger| {
        ledger.admit(SpendInquiry {
            steered: &[0],
            ..asked(CI, &[at("q", Some(11))], NOON)
        })
    };
    // It does not bound what goes there; another one does.
    let SpendVerdict::Admitted(one) = there(&mut ledger) else {
        panic!();
    };
    ledger.settle(one.ticket, CI, &paid("q", 11), NOON);
    assert!(matches!(there(&mut ledger), SpendVerdict::Refused(_)));
}

#[test]
fn only_requests_to_its_targets_count() {
    let targets: [Box<str>; 2] = ["big".into(), "openai".into()];
    let scope = BudgetScope {
        targets: targets.into(),
        ..BudgetScope::all_of(client())
    };
    let of_targets = BudgetPolicy {
        scope,
        ..budget(client(), cents(10), Period::Day)
    };
    let budgets = vec![of_targets, budget(client(), cents(100), Period::Day)];
    let here = [at("p", Some(10))];
    for (target, counts) in [
        ("small", false),
        ("bigger", false),
        ("openai:gpt", true),
        ("big", true),
    ] {
        let mut ledger = ledger(budgets.clone());
        let payer = Payer { target, ..CI };
        let SpendVerdict::Admitted(one) = ledger.admit(asked(payer, &here, NOON)) else {
            panic!("{target}");
        };
        ledger.settle(one.ticket, payer, &paid("p", 10), NOON);
        let views = ledger.views(NOON);
        let spent = [views[0].spent, views[1].spent];
        let counted = if counts { 10 } else { 0 };
        assert_eq!(spent, [cents(counted), cents(10)], "{target}");
        assert_eq!(views[0].reserved, Pico::ZERO, "{target}");
        let big = Payer {
            target: "big",
            ..CI
        };
        let next = ledger.look(asked(big, &here, NOON));
        let is_full = match why(&next) {
            Some(Refused::Exhausted { what, .. }) => what.contains("for `big`, `openai`"),
            _ => false,
        };
        assert_eq!(is_full, counts, "{target}: {next:?}");
        // They are a window of their own, also for the next process.
        let mut next = self::ledger(budgets.clone());
        next.restore(ledger.persisted(), NOON);
        assert_eq!(next.views(NOON)[0].spent, cents(counted), "{target}");
    }
}

#[test]
fn a_soft_budget_tells_each_mark_once_in_a_window() {
    let soft = BudgetPolicy {
        mode: Mode::Soft,
        ..budget(client(), cents(10), Period::Day)
    };
    let mut ledger = ledger(vec![soft]);
    let mut pay = |amount, unix| {
        let one = admitted(&mut ledger, &[at("p", Some(1))], unix).unwrap();
        let marks = ledger.settle(one.ticket, CI, &paid("p", amount), unix);
        let marks: Vec<u8> = marks.iter().map(|mark| mark.percent).collect();
        (one.soft, marks)
    };
    assert_eq!(pay(7, NOON), (false, vec![]));
    assert_eq!(pay(1, NOON), (false, vec![80]));
    assert_eq!(pay(1, NOON), (false, vec![]));
    assert_eq!(pay(5, NOON), (false, vec![100]));
    assert_eq!(pay(5, NOON), (true, vec![]));
    assert_eq!(pay(10, NOON + DAY), (false, vec![100]));
}

#[test]
fn a_request_that_a_soft_budget_sent_elsewhere_is_told_so() {
    let mut here = budget(Spender::Provider("p".into()), cents(10), Period::Day);
    here.mode = Mode::Soft;
    here.then = Some("q".into());
    let hard = BudgetPolicy {
        mode: Mode::Hard,
        ..here.clone()
    };
    for (policy, told) in [(here, true), (hard, false)] {
        let mut ledger = ledger(vec![policy]);
        let one = admitted(&mut ledger, &[at("p", Some(10))], NOON).unwrap();
        ledger.settle(one.ticket, CI, &paid("p", 10), NOON);
        let next = ledger.admit(asked(CI, &[at("p", Some(1))], NOON));
        assert!(matches!(next, SpendVerdict::Then(_, 0)), "{next:?}");
        // Where it goes has nothing to do with the provider's budget.
        match ledger.admit(SpendInquiry {
            steered: &[0],
            ..asked(CI, &[at("q", Some(1))], NOON)
        }) {
            SpendVerdict::Admitted(there) => assert_eq!(there.soft, told),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_change_keeps_what_the_same_window_has_cost() {
    let mut ledger = ledger(vec![budget(client(), cents(10), Period::Day)]);
    let here = [at("p", Some(8))];
    let one = admitted(&mut ledger, &here, NOON).unwrap();
    ledger.settle(one.ticket, CI, &paid("p", 8), NOON);
    for (amount, period) in [(12, Period::Day), (12, Period::Month), (12, Period::Total)] {
        ledger.configure(vec![budget(client(), cents(amount), period)], NOON);
        assert_eq!(stands(&mut ledger, NOON).0, cents(8), "{period:?}");
        assert!(admitted(&mut ledger, &here, NOON).is_none());
    }
    // In another zone the day has the same date.
    let berlin = Zone {
        name: "Europe/Berlin".into(),
        offset: Arc::new(|_| 3600),
    };
    let there = BudgetPolicy {
        zone: berlin,
        ..budget(client(), cents(12), Period::Day)
    };
    ledger.configure(vec![there], NOON);
    assert_eq!(stands(&mut ledger, NOON).0, cents(8));
    let saved = ledger.persisted();
    let mut next = self::ledger(vec![budget(client(), cents(9), Period::Week)]);
    next.restore(saved, NOON);
    assert_eq!(stands(&mut next, NOON).0, cents(8));
    assert_eq!(stands(&mut next, NOON + DAY).0, Pico::ZERO);
}

#[test]
fn windows_begin_where_the_calendar_says() {
    assert_eq!(date(NOON.div_euclid(DAY)), "2026-11-29");
    assert_eq!(civil(-1), (1969, 12, 31));
    let utc = Zone::utc();
    for (period, begins) in [
        (Period::Hours(1), NOON),
        (Period::Hours(5), NOON - NOON.rem_euclid(5 * 3600)),
        (Period::Day, NOON - DAY / 2),
        (Period::Week, NOON - DAY / 2 - 6 * DAY),
        (Period::Month, NOON - DAY / 2 - 28 * DAY),
    ] {
        let number = period.number(NOON, &utc);
        assert_eq!(period.begins(number, &utc), Some(begins), "{period:?}");
    }
    for (word, period) in [
        ("5h", Some(Period::Hours(5))),
        ("Hour", Some(Period::Hours(1))),
        ("2d", Some(Period::Hours(48))),
        ("month", Some(Period::Month)),
        ("total", Some(Period::Total)),
        ("0h", None),
        ("5", None),
        ("year", None),
        ("h", None),
    ] {
        assert_eq!(Period::read(word), period, "{word}");
        let again = period.and_then(|period| Period::read(&period.word()));
        assert_eq!(again, period, "{word}");
    }
}

#[test]
fn the_table_of_spending_is_bounded_and_adds_up() {
    let mut table = SpendLedger::default();
    let sum = SpendSum {
        cost: cents(1),
        requests: 1,
        attempts: 1,
        ..SpendSum::default()
    };
    for number in 0..5000 {
        table.add(NOON, "ci", &format!("p:{number}"), "p", &sum);
    }
    assert_eq!(table.rows().count(), MOST_ROWS + 1);
    let all = table.sums(&[], 1, NOON);
    assert_eq!(all[0].1.cost, cents(5000));
    table.add(NOON + DAY, "web", "v", "q", &sum);
    let by = table.sums(&[SpendBy::Day, SpendBy::Client], 2, NOON + DAY);
    let names: Vec<String> = by.iter().map(|(names, _)| names.join(" ")).collect();
    assert_eq!(
        names,
        ["2026-11-29 ci", "2026-11-29 other", "2026-11-30 other"]
    );
    assert_eq!(table.sums(&[SpendBy::Client], 1, NOON + DAY).len(), 1);
}

proptest! {
    /// A window's spending is above a hard budget by no more than what its requests cost above their reservations, and
    /// nothing stays reserved.
    #[test]
    fn never_over_by_more_than_the_over_runs(
        steps in proptest::collection::vec((1_u64..40, 0_u64..60, any::<bool>()), 1..60),
    ) {
        let mut ledger = ledger(vec![
            budget(client(), cents(100), Period::Day),
            budget(Spender::Whole, cents(150), Period::Day),
        ]);
        let mut open = Vec::new();
        let mut over = Pico::ZERO;
        let settle = |ledger: &mut Ledger, (ticket, cost): (Ticket, u64)| {
            ledger.settle(ticket, CI, &paid("p", cost), NOON);
        };
        for (estimate, cost, ends) in steps {
            if let Some(one) = admitted(&mut ledger, &[at("p", Some(estimate))], NOON) {
                over = over.plus(cents(cost).minus(cents(estimate)));
                open.push((one.ticket, cost));
            }
            if ends && !open.is_empty() {
                settle(&mut ledger, open.swap_remove(0));
            }
            prop_assert!(stands(&mut ledger, NOON).0 <= cents(100).plus(over));
        }
        open.into_iter().for_each(|one| settle(&mut ledger, one));
        let (spent, reserved, counted) = stands(&mut ledger, NOON);
        prop_assert!(spent <= cents(100).plus(over));
        prop_assert_eq!((reserved, counted), (Pico::ZERO, over));
    }

    #[test]
    fn every_moment_is_in_the_window_of_its_number(
        unix in -2_000_000_000_i64..8_000_000_000,
        ahead in -12_i64..15,
        hours in 1_u32..100,
    ) {
        let zone = Zone { name: "x".into(), offset: Arc::new(move |_| ahead * 3600) };
        for period in [Period::Hours(hours), Period::Day, Period::Week, Period::Month] {
            let number = period.number(unix, &zone);
            let (from, to) = (period.begins(number, &zone), period.begins(number + 1, &zone));
            prop_assert!(from.is_some_and(|from| from <= unix), "{:?}", period);
            prop_assert!(to.is_some_and(|to| unix < to), "{:?}", period);
        }
    }
}
