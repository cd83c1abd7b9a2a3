//! Which requests wait, which are woken, and which are evicted.

use proptest::prelude::*;

use super::*;

fn room(waiters: &[(u64, &[&str])]) -> WaitingRoom<usize> {
    let mut room = WaitingRoom::new(10);
    for (n, (wake_ms, providers)) in waiters.iter().enumerate() {
        let ticket = room.ticket(Priority::Normal);
        room.park(Waiter {
            ticket,
            standing: Requester::default(),
            wake_at: Time::from_millis(*wake_ms),
            wants: providers.iter().map(|name| want(name)).collect(),
            payload: n,
        })
        .unwrap();
    }
    room
}

fn want(provider: &str) -> Want {
    Want {
        provider: ProviderName::from(provider),
        model: None,
    }
}

#[test]
fn who_waits_for_one_model_is_not_in_the_way_of_another() {
    let mut room = WaitingRoom::new(1);
    let ticket = room.ticket(Priority::Normal);
    let wants = vec![Want {
        model: Some(ModelName::from("m")),
        ..want("a")
    }];
    room.park(Waiter {
        ticket,
        standing: Requester::default(),
        wake_at: Time::ZERO,
        wants,
        payload: (),
    })
    .unwrap();
    assert!(room.contended(&Upstream::new("a", "m"), Priority::Normal));
    assert!(!room.contended(&Upstream::new("a", "other"), Priority::Normal));
}

fn payloads(waiters: Vec<Waiter<usize>>) -> Vec<usize> {
    waiters.into_iter().map(|waiter| waiter.payload).collect()
}

#[test]
fn first_come_first_served_per_provider() {
    let mut room = room(&[(9, &["a"]), (9, &["b"]), (9, &["a", "b"]), (9, &["a"])]);
    assert_eq!(payloads(room.ready(&ProviderName::from("a"), 2)), [0, 2]);
    assert_eq!(payloads(room.ready(&ProviderName::from("b"), 9)), [1]);
    assert_eq!(room.len(), 1);
}

#[test]
fn wakes_those_whose_time_has_come() {
    let mut room = room(&[(5, &["a"]), (3, &["a"]), (4, &["a"])]);
    assert_eq!(room.next_wake(), Some(Time::from_millis(3)));
    assert_eq!(payloads(room.due(Time::from_millis(4))), [1, 2]);
    assert_eq!(room.next_wake(), Some(Time::from_millis(5)));
}

#[test]
fn a_waiter_parked_again_keeps_its_place() {
    let mut room = room(&[(1, &["a"]), (9, &["a"])]);
    let first = room.due(Time::from_millis(1)).remove(0);
    room.park(first).unwrap();
    assert_eq!(payloads(room.ready(&ProviderName::from("a"), 1)), [0]);
}

#[test]
fn one_that_was_woken_keeps_its_place_in_a_full_room() {
    let mut room = WaitingRoom::new(1);
    let waiter = |ticket| Waiter {
        ticket,
        standing: Requester::default(),
        wake_at: Time::ZERO,
        wants: vec![want("a")],
        payload: (),
    };
    let first = room.ticket(Priority::Normal);
    room.park(waiter(first)).unwrap();
    let woken = room.due(Time::ZERO).remove(0);
    let second = room.ticket(Priority::Normal);
    room.park(waiter(second)).unwrap();
    room.park_again(woken);
    assert_eq!(room.len(), 2);
    assert_eq!(room.ready(&ProviderName::from("a"), 1)[0].ticket, first);
}

#[test]
fn refuses_when_full_and_knows_what_is_contended() {
    let mut room = WaitingRoom::new(0);
    let ticket = room.ticket(Priority::Normal);
    let waiter = Waiter {
        ticket,
        standing: Requester::default(),
        wake_at: Time::ZERO,
        wants: vec![want("a")],
        payload: (),
    };
    assert!(room.park(waiter).is_err());
    assert!(!room.contended(&Upstream::new("a", "m"), Priority::Normal));
    let mut room = self::room(&[(9, &["a"])]);
    assert!(room.contended(&Upstream::new("a", "m"), Priority::Normal));
    assert!(!room.contended(&Upstream::new("b", "m"), Priority::Normal));
    room.leave(|_| true);
    assert!(!room.contended(&Upstream::new("a", "m"), Priority::Normal));
}

/// A room for four: classes and clients in the order in which they come.
fn full(waiters: &[(Priority, &str)]) -> WaitingRoom<usize> {
    let mut room = WaitingRoom::new(waiters.len());
    for (n, (class, client)) in waiters.iter().enumerate() {
        let waiter = of(&mut room, *class, client, n);
        room.park(waiter).unwrap();
    }
    room
}

fn of(room: &mut WaitingRoom<usize>, class: Priority, client: &str, n: usize) -> Waiter<usize> {
    Waiter {
        ticket: room.ticket(class),
        standing: Requester {
            priority: class,
            client: Some(client.into()),
        },
        wake_at: Time::ZERO,
        wants: vec![want("a")],
        payload: n,
    }
}

/// The request that is evicted for a newcomer.
fn displaced(room: &mut WaitingRoom<usize>, class: Priority, client: &str) -> Option<usize> {
    let before = room.len();
    let newcomer = of(room, class, client, 99);
    let displaced = room.displace(newcomer).ok().map(|waiter| waiter.payload);
    assert_eq!(room.len(), before);
    displaced
}

#[test]
fn a_class_is_served_before_the_next_and_each_in_order_of_arrival() {
    use Priority::{High, Low, Normal};
    let mut room = full(&[
        (Low, "x"),
        (Normal, "x"),
        (High, "x"),
        (Normal, "y"),
        (High, "y"),
    ]);
    assert_eq!(
        payloads(room.ready(&ProviderName::from("a"), 4)),
        [2, 4, 1, 3]
    );
    let upstream = Upstream::new("a", "m");
    assert!(room.contended(&upstream, Low));
    assert!(!room.contended(&upstream, Normal) && !room.contended(&upstream, High));
}

#[test]
fn whoever_waits_for_most_gives_way_until_all_have_their_share() {
    use Priority::Normal;
    let mut room = full(&[(Normal, "greedy"); 4]);
    assert_eq!(displaced(&mut room, Normal, "small"), Some(3));
    assert_eq!(displaced(&mut room, Normal, "small"), Some(2));
    // Two each.
    assert_eq!(displaced(&mut room, Normal, "small"), None);
    assert_eq!(displaced(&mut room, Normal, "greedy"), None);
    assert_eq!(displaced(&mut room, Normal, "third"), Some(99));
}

#[test]
fn one_place_does_not_go_to_and_fro() {
    let mut room = full(&[(Priority::Normal, "x")]);
    assert_eq!(displaced(&mut room, Priority::Normal, "y"), None);
}

#[test]
fn the_last_class_gives_way_to_those_before_it_and_to_nobody_after_it() {
    use Priority::{High, Low, Normal};
    let mut room = full(&[(Low, "x"), (High, "y"), (High, "y"), (Low, "z")]);
    assert_eq!(displaced(&mut room, High, "y"), Some(3));
    assert_eq!(displaced(&mut room, Normal, "z"), Some(0));
    assert_eq!(displaced(&mut room, Low, "w"), None);
}

#[test]
fn without_clients_nobody_gives_way() {
    let mut room = self::room(&[(9, &["a"]), (9, &["a"])]);
    let newcomer = Waiter {
        ticket: room.ticket(Priority::Normal),
        standing: Requester::default(),
        wake_at: Time::ZERO,
        wants: vec![want("a")],
        payload: 99,
    };
    assert!(room.displace(newcomer).is_err());
}

proptest! {
    /// In any order of arrival: the room stays within its capacity, no request is displaced by a later class, and
    /// within a class only by a client that holds less.
    #[test]
    fn giving_way_is_fair(comers in prop::collection::vec((0..3usize, 0..4usize), 1..80)) {
        let mut room = WaitingRoom::new(8);
        let names = ["a", "b", "c", "d"];
        let mut inside: Vec<(usize, usize, usize)> = Vec::new();
        for (n, (class, client)) in comers.into_iter().enumerate() {
            let waiter = of(&mut room, Priority::ALL[class], names[client], n);
            match room.park(waiter) {
                Ok(()) => inside.push((class, client, n)),
                Err(waiter) => if let Ok(gone) = room.displace(waiter) {
                    let at = inside.iter().position(|(.., other)| *other == gone.payload).unwrap();
                    let (its_class, its_client, _) = inside.remove(at);
                    inside.push((class, client, n));
                    let holds = |class: usize, client: usize| {
                        inside.iter().filter(|(other, of, _)| (*other, *of) == (class, client)).count()
                    };
                    prop_assert!(class <= its_class);
                    if class == its_class {
                        prop_assert!(holds(class, client) <= holds(its_class, its_client));
                    }
                },
            }
            prop_assert_eq!(room.len(), inside.len());
            prop_assert!(room.len() <= 8);
        }
    }
}

proptest! {
    /// After any arrivals and departures, the room answers as a look at every request would.
    #[test]
    fn the_room_knows_what_a_look_at_everybody_would_find(
        steps in prop::collection::vec((0..4_u8, 0..20_u64, 0..3_usize, 0..3_usize, 1..4_usize), 1..60),
    ) {
        let names = ["a", "b", "c"];
        let mut room = WaitingRoom::new(usize::MAX);
        let mut inside: Vec<(WaitTicket, u64, Vec<usize>, usize)> = Vec::new();
        for (n, (step, at, provider, class, slots)) in steps.into_iter().enumerate() {
            let name = ProviderName::from(names[provider]);
            let mut gone = match step {
                0 | 1 => {
                    let ticket = room.ticket(Priority::ALL[class]);
                    // A provider may be wanted twice, for a model and for any.
                    let wanted = [provider, (provider + slots) % 3, provider];
                    let wants = wanted.iter().map(|which| want(names[*which])).collect();
                    let waiter = Waiter {
                        ticket,
                        standing: Requester::default(),
                        wake_at: Time::from_millis(at),
                        wants,
                        payload: n,
                    };
                    room.park(waiter).unwrap();
                    inside.push((ticket, at, wanted.to_vec(), n));
                    inside.sort();
                    Vec::new()
                }
                2 => room.due(Time::from_millis(at)),
                _ => room.ready(&name, slots),
            };
            let expected: Vec<usize> = match step {
                0 | 1 => Vec::new(),
                2 => inside.iter().filter(|one| one.1 <= at).map(|one| one.3).collect(),
                _ => inside.iter().filter(|one| one.2.contains(&provider)).take(slots).map(|one| one.3).collect(),
            };
            inside.retain(|one| !expected.contains(&one.3));
            prop_assert_eq!(payloads(std::mem::take(&mut gone)), expected);
            prop_assert_eq!(room.len(), inside.len());
            let wake = inside.iter().map(|one| Time::from_millis(one.1)).min();
            prop_assert_eq!(room.next_wake(), wake);
            for (which, name) in names.iter().enumerate() {
                let name = ProviderName::from(*name);
                let here = || inside.iter().filter(|one| one.2.contains(&which));
                prop_assert_eq!(room.next_wake_for(&name), here().map(|one| Time::from_millis(one.1)).min());
                prop_assert_eq!(room.any(&name, |_| true), here().count() > 0);
            }
        }
    }
}
