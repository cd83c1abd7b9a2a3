//! How a limit is divided by one that all ask, and that it is never exceeded.

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const TTL: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(61);

fn node(number: usize) -> FleetNode {
    FleetNode::from(format!("n{number}.0"))
}

/// A process as it asks: it keeps to what it was told.
#[derive(Clone, Copy, Default)]
struct Asker {
    seq: u64,
    has: u64,
    used: u64,
}

impl Asker {
    fn asks(&mut self, limit: u64, demand: u64, least: u64) -> ShareQuestion {
        self.seq += 1;
        ShareQuestion {
            seq: self.seq,
            limit,
            has: self.has,
            used: self.used,
            demand,
            least,
            ttl: TTL,
            span: MINUTE,
        }
    }
}

struct DividedLimit {
    limit: SharedLimit,
    all: Vec<Asker>,
    now: Time,
}

impl DividedLimit {
    fn new(count: usize) -> Self {
        Self {
            limit: SharedLimit::default(),
            all: vec![Asker::default(); count],
            now: Time::from_millis(1000),
        }
    }

    /// All ask in turn, every half second, for so long.
    fn settle(&mut self, limit: u64, least: u64, demands: &[u64], seconds: u32) -> Vec<u64> {
        for _ in 0..2 * seconds {
            for (number, demand) in demands.iter().enumerate() {
                self.now = self.now + MS;
                let asks = self.all[number].asks(limit, *demand, least);
                let given = self.limit.ask(&node(number), asks, self.now).unwrap();
                self.all[number].has = given.share;
            }
            self.now = self.now + 500 * MS;
        }
        self.all.iter().map(|it| it.has).collect()
    }
}

#[test]
fn one_alone_has_the_whole_limit_in_two_seconds_and_a_safe_part_before() {
    let mut room = DividedLimit::new(1);
    let asks = room.all[0].asks(1000, 5, 1);
    let given = room.limit.ask(&node(0), asks, room.now).unwrap();
    assert_eq!(given.share, 100);
    assert_eq!(room.settle(1000, 1, &[5], 3), [1000]);
}

#[test]
fn shares_follow_demand_and_leave_a_floor() {
    let mut room = DividedLimit::new(4);
    assert_eq!(room.settle(1000, 1, &[10, 30], 5)[..2], [312, 687]);
    let shares = room.settle(1000, 1, &[100, 300, 0, 1], 5);
    assert_eq!(shares, [249, 624, 15, 63]);
}

#[test]
fn what_is_used_is_nobody_elses_until_its_window_is_over() {
    let mut room = DividedLimit::new(2);
    room.settle(100, 1, &[10], 3);
    room.all[0].used = 80;
    let shares = room.settle(100, 1, &[10, 10], 10);
    assert_eq!(
        shares,
        [50, 20],
        "it keeps to its half, and 80 count all the same"
    );
    room.all[0].used = 0;
    assert_eq!(room.settle(100, 1, &[10, 10], 2), [50, 50]);
}

#[test]
fn what_a_killed_process_had_comes_back_after_its_end_and_what_it_used_after_the_window() {
    let mut room = DividedLimit::new(2);
    room.settle(100, 1, &[1, 1], 4);
    room.all[1].used = 30;
    room.settle(100, 1, &[1, 1], 1);
    room.all.truncate(1);
    assert_eq!(room.settle(100, 1, &[1], 4), [70]);
    assert_eq!(room.settle(100, 1, &[1], 61), [100]);
}

#[test]
fn a_share_shrinks_for_others_only_when_its_process_keeps_to_it() {
    let mut room = DividedLimit::new(2);
    room.settle(100, 1, &[1], 3);
    // It is told of less, and the answer is lost.
    for _ in 0..4 {
        let asks = room.all[1].asks(100, 1, 1);
        let given = room.limit.ask(&node(1), asks, room.now).unwrap();
        assert_eq!(given.share, 0);
        let asks = room.all[0].asks(100, 1, 1);
        assert_eq!(room.limit.ask(&node(0), asks, room.now).unwrap().share, 50);
    }
}

#[test]
fn a_question_that_comes_late_or_twice_changes_nothing() {
    let mut room = DividedLimit::new(1);
    room.settle(100, 1, &[1], 3);
    let asks = room.all[0].asks(100, 1, 1);
    assert!(room.limit.ask(&node(0), asks, room.now).is_some());
    let held = room.limit.held(room.now);
    let old = ShareQuestion {
        has: 0,
        seq: 2,
        ..asks
    };
    for late in [asks, old] {
        assert_eq!(room.limit.ask(&node(0), late, room.now), None);
        assert_eq!(room.limit.held(room.now), held);
    }
}

#[test]
fn a_small_limit_is_for_a_few_and_each_has_its_turn() {
    let mut room = DividedLimit::new(6);
    let mut held = [0u32; 6];
    for _ in 0..120 {
        let shares = room.settle(2, 1, &[3; 6], 1);
        assert!(shares.iter().sum::<u64>() <= 2, "{shares:?}");
        for (count, share) in held.iter_mut().zip(&shares) {
            *count += u32::try_from(*share).unwrap();
        }
    }
    assert!(held.iter().all(|count| *count >= 20), "{held:?}");
    // With nobody else about it is kept.
    let mut room = DividedLimit::new(2);
    assert_eq!(room.settle(1, 1, &[3, 0], 60), [1, 0]);
}

#[test]
fn even_parts_make_the_whole() {
    for (limit, nodes) in [(10, 3), (2, 5), (100, 7), (0, 3)] {
        let all = (0..nodes).map(|rank| even_share(limit, nodes, rank));
        assert_eq!(all.sum::<u64>(), limit);
    }
    assert_eq!(even_share(9, 0, 0), 9);
}

proptest! {
    /// Laws F2 and F5: whoever asks when and for what, whichever answers and questions are lost, come twice or late, what all may
    /// use and have used is within the limit; and nothing is missing when all have ended.
    #[test]
    fn f2_all_shares_together_are_within_the_limit(
        limit in 0u64..2000,
        least in 1u64..50,
        asks in prop::collection::vec((0usize..9, 0u64..500, 0u32..900, 0u8..10, 0u64..100), 1..300),
    ) {
        let least = least.min(limit.max(1));
        let mut room = DividedLimit::new(9);
        // What each keeps to, and until when, and until when what it has used counts.
        let mut until = [Time::ZERO; 9];
        let mut counts = [Time::ZERO; 9];
        let mut old: Option<(usize, ShareQuestion)> = None;
        for (number, demand, step, what, uses) in asks {
            room.now = room.now + MS * step;
            let now = room.now;
            for (asker, (until, counts)) in room.all.iter_mut().zip(until.iter().zip(&counts)) {
                if now >= *until {
                    asker.has = 0;
                }
                if now >= *counts {
                    asker.used = 0;
                }
            }
            counts[number] = now + MINUTE;
            let asker = &mut room.all[number];
            // Uses what it has, or what it had used is over.
            if uses % 3 == 0 {
                asker.used = asker.used.max(uses.min(asker.has));
            } else if uses == 1 {
                asker.used = 0;
            }
            let asks = asker.asks(limit, demand, least);
            let given = room.limit.ask(&node(number), asks, now);
            if what > 2 && let Some(given) = given {
                asker.has = given.share;
                until[number] = now + TTL;
            }
            if what == 0 {
                old = Some((number, asks));
            } else if what == 1 && let Some((number, asks)) = old {
                room.limit.ask(&node(number), asks, now);
            }
            let kept: u64 = room.all.iter().map(|it| it.has.max(it.used)).sum();
            prop_assert!(kept <= limit, "{} of {}", kept, limit);
            prop_assert!(room.limit.held >= room.limit.held(now));
        }
        room.now = room.now + 2 * MINUTE;
        room.all = vec![Asker::default()];
        room.all[0].seq = 100_000;
        prop_assert_eq!(room.settle(limit, least, &[1], 3), [limit]);
    }
}
