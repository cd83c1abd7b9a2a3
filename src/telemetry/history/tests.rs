use std::sync::Arc;

use super::*;
use crate::domain::attempt_record::{AttemptReason, AttemptRecord};
use crate::domain::chain::Chain;
use crate::domain::dialect::Operation;
use crate::domain::ids::KeyId;

fn after(seconds: u64) -> Time {
    Time::from_millis(1_000_000 + seconds * 1000)
}

fn record(upstream: &str, class: Class) -> AttemptRecord {
    let (provider, model) = upstream.split_once(':').unwrap();
    let key = KeyId {
        provider: provider.into(),
        index: 1,
    };
    AttemptRecord {
        class,
        ..AttemptRecord::new(Upstream::new(provider, model), key, Time::ZERO)
    }
}

fn took(at: Time, total: Duration) -> RequestRecord {
    RequestRecord {
        id: Arc::from("id"),
        client: None,
        operation: Operation::Chat,
        stream: false,
        target: "smart".to_owned(),
        chain: Some(Arc::new(Chain {
            target: Arc::from("smart"),
            upstreams: Vec::new(),
        })),
        routing: None,
        outcome: "answered",
        status: Some(200),
        attempts: Vec::new(),
        refused: None,
        lookup: crate::domain::attempt_record::CacheLookup::Off,
        saved: None,
        rescue_obstacles: Vec::new(),
        started: at - total,
        complete: at - total,
        ended: at,
        first_token: None,
        usage: None,
        trace: None,
    }
}

fn answered(at: Time) -> RequestRecord {
    took(at, Duration::from_millis(10))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[test]
fn a_quarter_of_an_hour_in_steps_and_nothing_older() {
    let history = History::default();
    history.ended(&answered(after(0)));
    history.ended(&answered(after(4)));
    history.ended(&RequestRecord {
        outcome: "upstreams_exhausted",
        status: Some(502),
        attempts: [
            ("a:m", AttemptReason::First),
            ("b:m", AttemptReason::Failover),
            ("b:m", AttemptReason::Retry),
            ("c:m", AttemptReason::Hedge),
            ("a:m", AttemptReason::Failover),
        ]
        .map(|(upstream, why)| AttemptRecord {
            reason: why,
            ..record(upstream, Class::Timeout)
        })
        .into(),
        ..answered(after(5))
    });
    let points = history.points(after(9));
    assert_eq!(points.len(), STEPS);
    let [.., before, last] = points.as_slice() else {
        panic!("no points")
    };
    assert_eq!(
        (before.at, before.requests, before.failed),
        (after(0), 2, 0)
    );
    assert_eq!(
        (last.at, last.requests, last.failed, last.failovers),
        (after(5), 1, 1, 2)
    );
    assert_eq!(last.total, None, "who failed has no say in how fast it is");
    let first = &history.points(after(899))[0];
    assert_eq!((first.at, first.requests), (after(0), 2));
    let later = history.points(after(900));
    assert_eq!((later[0].at, later[0].requests), (after(5), 1));
    let much_later = history.points(after(900 + 6));
    assert!(much_later.iter().all(|point| point.requests == 0));
    let young = history.points(Time::from_millis(12_000));
    assert_eq!(young.len(), 3, "nothing is told of before the start");
    assert_eq!(young[0].at, Time::ZERO);
}

#[test]
fn a_slot_that_was_used_a_round_ago_begins_anew() {
    let history = History::default();
    for _ in 0..3 {
        history.ended(&answered(after(0)));
    }
    history.ended(&answered(after(900)));
    let requests = || history.points(after(901)).last().unwrap().requests;
    assert_eq!(requests(), 1);
    // One that comes a round late would spoil it.
    history.ended(&answered(after(0)));
    assert_eq!(requests(), 1);
}

#[test]
fn quantiles_are_right_to_an_eighth_from_a_tenth_of_a_millisecond_to_minutes() {
    for scale in [0.0001, 0.01, 1.0, 100.0] {
        let history = History::default();
        for n in 1..=1000 {
            let time = Duration::from_secs_f64(f64::from(n) * 0.001 * scale);
            history.ended(&RequestRecord {
                first_token: Some(after(0) - time / 2),
                ..took(after(0), time)
            });
        }
        let point = history.points(after(0)).pop().unwrap();
        let (total, first) = (point.total.unwrap(), point.first_token.unwrap());
        for (seen, share) in total.iter().zip([0.5, 0.95, 0.99]) {
            let off = millis(*seen) / (share * 1000.0 * scale);
            assert!((0.88..=1.13).contains(&off), "{scale} {share}: {seen:?}");
        }
        let off = millis(first[0]) / (250.0 * scale);
        assert!(scale < 0.01 || (0.88..=1.13).contains(&off), "{first:?}");
    }
}

#[test]
fn buckets_leave_no_gap_and_no_time_is_too_short_or_too_long() {
    let mut next = 0;
    for at in 0..BUCKETS {
        let (low, high) = bounds(at);
        assert_eq!(low, next, "{at}");
        assert_eq!(bucket(Duration::from_micros(low)), at);
        next = high;
        if at < BUCKETS - 1 {
            assert_eq!(bucket(Duration::from_micros(high - 1)), at);
        }
    }
    for (started, ended) in [(5, 5), (5, 6), (9, 5), (0, u64::MAX)] {
        let (started, ended) = (Time::from_nanos(started), Time::from_nanos(ended));
        let history = History::default();
        history.ended(&RequestRecord {
            started,
            ..answered(ended)
        });
        let point = history.points(ended).pop().unwrap();
        assert!(point.total.is_some(), "{started:?} {ended:?}");
    }
}

#[test]
fn flows_tell_where_the_last_minute_went() {
    let history = History::default();
    let smart = [Upstream::new("a", "m"), Upstream::new("b", "m")];
    let fast = [Upstream::new("a", "m")];
    let chains = [("smart", &smart[..]), ("fast", &fast[..])];
    history.follow(chains);
    let attempts = [
        record("a:m", Class::Timeout),
        record("a:m", Class::Cancelled),
        record("b:m", Class::Success),
    ];
    let at = |seconds: u64, target: &'static str| {
        history.ended(&RequestRecord {
            target: target.to_owned(),
            attempts: attempts.to_vec(),
            ..answered(after(seconds))
        });
    };
    at(0, "smart");
    at(3, "smart");
    let flow = |target: &str, upstream: &str, attempts: u64, failed: u64| Flow {
        target: target.to_owned(),
        upstream: upstream.to_owned(),
        attempts,
        failed,
    };
    let seen = [flow("smart", "a:m", 4, 2), flow("smart", "b:m", 2, 0)];
    assert_eq!(history.flows(after(3)), seen);
    assert_eq!(history.flows(after(59)), seen);
    assert_eq!(history.flows(after(60)), []);
    // Targets that are not configured are not counted separately, whatever names callers send.
    at(70, "a:whatever");
    at(71, "fast");
    assert_eq!(
        history.flows(after(71)),
        [flow("fast", "a:m", 2, 1), flow("other", "other", 4, 1)]
    );
    // A change of configuration loses nothing of what stays.
    history.follow([chains[1]]);
    assert_eq!(history.flows(after(72))[0], flow("fast", "a:m", 2, 1));
}

#[test]
fn nothing_is_lost_when_several_count_at_once() {
    let history = History::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..10_000 {
                    history.ended(&answered(after(n / 2000 * 5)));
                }
            });
        }
    });
    let points = history.points(after(24));
    let seen: Vec<u64> = points[STEPS - 5..].iter().map(|it| it.requests).collect();
    assert_eq!(seen, [8000; 5]);
}

/// `cargo test --release --lib history -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures"
)]
fn how_long_counting_takes() {
    let history = History::default();
    let upstreams: Vec<Upstream> = (0..5)
        .map(|n| Upstream::new(format!("p{n}"), "m"))
        .collect();
    history.follow([("smart", &upstreams[..])]);
    let mut told = RequestRecord {
        attempts: vec![
            record("p0:m", Class::Timeout),
            record("p1:m", Class::Success),
        ],
        first_token: Some(after(0)),
        ..answered(after(0))
    };
    let began = std::time::Instant::now();
    for n in 0..1_000_000 {
        told.ended = after(n / 100_000);
        told.started = Time::from_nanos(n);
        history.ended(&told);
    }
    println!("ended: {:?} each", began.elapsed() / 1_000_000);
    let began = std::time::Instant::now();
    let points = history.points(after(9)).len();
    println!("{points} points: {:?}", began.elapsed());
}
