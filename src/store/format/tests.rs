//! State that is written is read again, no end is earlier, and any other content of the file does no harm.

use crate::domain::dialect::Operation;
use proptest::prelude::*;

use super::*;
use crate::domain::persisted::Fingerprint;
use crate::domain::time::Time;

const NANOS: u64 = 1_000_000_000;

fn anchor(time: u64, wall: u64) -> Anchor {
    Anchor {
        time: Time::from_nanos(time),
        wall: Duration::from_nanos(wall),
    }
}

fn marker() -> Fingerprinter {
    Fingerprinter::random().unwrap()
}

/// A snapshot with one of everything, its times so many nanoseconds from `now`.
fn book(now: Time, spans: [u64; 6]) -> StateSnapshot {
    let [whole, model, probe, reset, gone, cooling] =
        spans.map(|span| now + Duration::from_nanos(span));
    let cooldown = |until| PersistedCooldown { until, strikes: 3 };
    let limit = PersistedLimit {
        model: "m".into(),
        unit: Unit::Tokens,
        period: Duration::from_millis(1500),
        limit: Some(1000.0),
        left: 12.5,
        at: now,
        reset,
        trusted_until: reset,
        refills_in: None,
    };
    let page = SnapshotKey {
        provider: "groq".into(),
        persisted: PersistedKey {
            whole: Some(cooldown(whole)),
            exhausted: true,
            models: vec![("m".into(), cooldown(model))],
            invalid: Some(PersistedQuarantine {
                until: probe,
                span: Duration::from_secs(600),
            }),
            held: Some(gone),
        },
        limits: Arc::new(vec![limit]),
    };
    let mut book = StateSnapshot::default();
    book.note_key(Fingerprint([7; 16]), page);
    let memory = PersistedProvider {
        cooling: Some(cooling),
        gone: vec![("m2".into(), Operation::Chat, gone)],
        held: Some(Time::NEVER),
    };
    let name = "groq".into();
    book.note_provider(
        Fingerprint([8; 16]),
        SnapshotProvider {
            name,
            persisted: memory,
        },
    );
    book
}

/// Every end in a snapshot, in one order.
fn ends(book: &StateSnapshot) -> Vec<Time> {
    let mut ends = Vec::new();
    for (_, page) in book.keys() {
        let memory = &page.persisted;
        ends.extend(memory.whole.map(|whole| whole.until));
        ends.extend(memory.models.iter().map(|(_, cooldown)| cooldown.until));
        ends.extend(memory.invalid.map(|quarantine| quarantine.until));
        ends.extend(memory.held);
        ends.extend(page.limits.iter().map(|limit| limit.reset));
    }
    for (_, page) in book.providers() {
        ends.extend(page.persisted.cooling);
        ends.extend(page.persisted.gone.iter().map(|(.., until)| *until));
    }
    ends
}

#[test]
fn everything_comes_back() {
    let (before, after) = (anchor(50 * NANOS, 900 * NANOS), anchor(0, 900 * NANOS));
    let spans = [1, 2, 3, 4, 5, 6].map(|seconds| seconds * NANOS);
    let marker = marker();
    let bytes = encode(&book(before.time, spans), &marker, &before).unwrap();
    let (found, restored) = decode(&bytes, after).unwrap();
    assert_eq!(restored, book(after.time, spans));
    assert_eq!(found.salt(), marker.salt());
}

/// As it was written before holds were kept.
#[test]
fn an_older_file_is_read_and_holds_nobody_that_it_does_not_name() {
    let now = anchor(0, 1000 * NANOS);
    let state = format!(
        r#"{{"saved_at":1000000,"salt":"{}","providers":[{{"fingerprint":"{}","provider":"p","cooling":1060000}}],"keys":[{{"fingerprint":"{}","provider":"p","cooling":{{"until":1030000,"strikes":2}},"quota_exhausted":true}}]}}"#,
        marker().salt(),
        Fingerprint([1; 16]),
        Fingerprint([2; 16]),
    );
    let text = format!(
        r#"{{"format":"pointsman-state","version":1,"sha256":"{}","state":{state}}}"#,
        fingerprint::checksum(state.as_bytes()),
    );
    let (_, book) = decode(text.as_bytes(), now).unwrap();
    let key = &book.key(Fingerprint([2; 16])).unwrap().persisted;
    let until = now.time + Duration::from_secs(30);
    let whole = PersistedCooldown { until, strikes: 2 };
    assert_eq!((key.whole, key.held), (Some(whole), None));
    let provider = &book.provider(Fingerprint([1; 16])).unwrap().persisted;
    let until = now.time + Duration::from_secs(60);
    assert_eq!((provider.cooling, provider.held), (Some(until), None));
}

#[test]
fn a_bucket_fills_while_nobody_runs() {
    let before = anchor(50 * NANOS, 900 * NANOS);
    let mut filling = StateSnapshot::default();
    let limit = PersistedLimit {
        refills_in: Some(Duration::from_secs(60)),
        limit: Some(60.0),
        left: 2.0,
        reset: before.time + Duration::from_secs(58),
        trusted_until: before.time + Duration::from_secs(900),
        ..book(before.time, [1; 6]).keys().next().unwrap().1.limits[0].clone()
    };
    let page = SnapshotKey {
        provider: "p".into(),
        persisted: PersistedKey::default(),
        limits: Arc::new(vec![limit]),
    };
    filling.note_key(Fingerprint([1; 16]), page);
    let bytes = encode(&filling, &marker(), &before).unwrap();
    for (pause, left) in [(0, 2.0), (10, 12.0), (100, 60.0)] {
        let (_, restored) = decode(&bytes, anchor(0, (900 + pause) * NANOS)).unwrap();
        let found = restored.key(Fingerprint([1; 16])).unwrap().limits[0].left;
        assert!((found - left).abs() < 0.01, "{found} after {pause} s");
    }
}

#[test]
fn a_wall_clock_that_was_set_back_makes_nothing_longer() {
    let before = anchor(0, 5000 * NANOS);
    let book = book(before.time, [60 * NANOS; 6]);
    let bytes = encode(&book, &marker(), &before).unwrap();
    let (_, restored) = decode(&bytes, anchor(0, 1000 * NANOS)).unwrap();
    for end in ends(&restored) {
        assert_eq!(end, Time::ZERO + Duration::from_secs(60));
    }
}

#[test]
fn names_of_models_that_callers_made_up_do_not_fill_the_file() {
    let mut long = StateSnapshot::default();
    let memory = PersistedProvider {
        cooling: None,
        gone: vec![("x".repeat(100_000).into(), Operation::Chat, Time::NEVER)],
        held: None,
    };
    long.note_provider(
        Fingerprint([1; 16]),
        SnapshotProvider {
            name: "p".into(),
            persisted: memory,
        },
    );
    let bytes = encode(&long, &marker(), &anchor(0, 0)).unwrap();
    assert!(bytes.len() < 1000);
    assert!(decode(&bytes, anchor(0, 0)).is_ok());
}

#[test]
fn a_later_version_and_another_programs_file_are_told_apart() {
    let cases: [(&str, Defect); 5] = [
        (
            r#"{"format":"pointsman-state","version":2,"more":[]}"#,
            Defect::Newer(2),
        ),
        (
            r#"{"format":"pointsman-state","version":1}"#,
            Defect::Foreign,
        ),
        (r#"{"format":"other","version":1}"#, Defect::Foreign),
        ("", Defect::Foreign),
        (
            r#"{"format":"pointsman-state","version":1,"sha256":"0","state":{}}"#,
            Defect::Damaged,
        ),
    ];
    for (text, defect) in cases {
        assert_eq!(
            decode(text.as_bytes(), anchor(0, 0)).err(),
            Some(defect),
            "{text}"
        );
    }
}

#[test]
fn a_file_cut_off_or_changed_anywhere_is_noticed() {
    let before = anchor(0, 900 * NANOS);
    let bytes = encode(&book(before.time, [NANOS; 6]), &marker(), &before).unwrap();
    // Without the last line break nothing is missing.
    for length in 0..bytes.len() - 1 {
        assert!(decode(&bytes[..length], before).is_err(), "{length} bytes");
    }
    let whole = decode(&bytes, before).unwrap().1;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        // A change of the head's white space or of an unused name is none of the content.
        if let Ok((_, book)) = decode(&changed, before) {
            assert_eq!(book, whole, "byte {at}");
        }
    }
}

proptest! {
    /// Law L5 over a restart: no end comes sooner than it would have, and none a millisecond later.
    #[test]
    fn l5_no_restart_shortens_anything(
        times in (0u64..u64::MAX / 4, 0u64..u64::MAX / 4, 0u64..1_000 * NANOS),
        pause in 0u64..10_000_000 * NANOS,
        spans in prop::array::uniform6(0u64..3_000_000 * NANOS),
    ) {
        let (time, wall, new_time) = times;
        let before = anchor(time, wall);
        let after = anchor(new_time, wall + pause);
        let bytes = encode(&book(before.time, spans), &marker(), &before).unwrap();
        let (_, restored) = decode(&bytes, after).unwrap();
        let mut expected = Vec::new();
        for end in ends(&book(before.time, spans)) {
            expected.push(end.since(before.time).saturating_sub(Duration::from_nanos(pause)));
        }
        let restored = ends(&restored);
        prop_assert_eq!(restored.len(), expected.len());
        for (end, left) in restored.into_iter().zip(expected) {
            let span = end.since(after.time);
            prop_assert!(span >= left, "{:?} instead of {:?}", span, left);
            prop_assert!(span <= left + Duration::from_millis(1));
        }
    }

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(decode(&bytes, anchor(5, 5)));
    }

    /// With a checksum that fits, whatever the numbers are.
    #[test]
    fn numbers_never_panic(numbers in prop::array::uniform8(any::<u64>()), left in any::<f64>(), limit in any::<f64>(), now in any::<u64>()) {
        let [a, b, c, d, e, f, g, h] = numbers;
        let limits = format!(
            r#"[{{"model":"m","unit":"tokens","period_seconds":{left:e},"limit":{limit:e},"left":{left:e},"at":{a},"reset":{b},"trusted_until":{c},"refills_in_seconds":{}}}]"#,
            if g % 2 == 0 { 60 } else { h },
        );
        let state = format!(
            r#"{{"saved_at":{h},"salt":"{}","providers":[{{"fingerprint":"{}","provider":"p","cooling":{a},"gone":[{{"model":"m","operation":"/embeddings","until":{b}}}],"hold":{{"until":{d}}}}}],"keys":[{{"fingerprint":"{}","provider":"p","cooling":{{"until":{c},"strikes":{}}},"quota_exhausted":true,"invalid":{{"probe_at":{d},"span_seconds":{e}}},"models":[{{"model":"m","until":{f},"strikes":7}}],"limits":{limits},"hold":{{"until":{e}}}}}]}}"#,
            marker().salt(), Fingerprint([1; 16]), Fingerprint([2; 16]), g % (1 << 32),
        );
        let text = format!(
            r#"{{"format":"pointsman-state","version":1,"sha256":"{}","state":{state}}}"#,
            fingerprint::checksum(state.as_bytes()),
        );
        let anchor = anchor(now / 2, now);
        let decoded = decode(text.as_bytes(), anchor);
        prop_assert!(decoded.is_ok() || !left.is_finite() || !limit.is_finite(), "{:?} {text}", decoded.err());
        if let Ok((_, mut book)) = decoded {
            book.tidy(anchor.time, |_| true);
            drop(encode(&book, &marker(), &anchor));
        }
    }
}
