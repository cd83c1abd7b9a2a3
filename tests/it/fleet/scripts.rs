//! The server's scripts against what they are to do, question by question, at moments that the test makes up.

use std::time::Duration;

use pointsman::domain::fleet::money::{self, ClaimQuestion, SharedBudget};
use pointsman::domain::fleet::share::{self, ShareQuestion, SharedLimit};
use pointsman::domain::ids::FleetNode;
use pointsman::domain::time::Time;

use crate::support::valkey::ValkeyProcess;

const SHARE: &str = include_str!("../../../src/store/fleet/scripts/share.lua");
const CLAIM: &str = include_str!("../../../src/store/fleet/scripts/claim.lua");

/// The script as if it ran `now`.
fn at(script: &str, now: u64) -> String {
    let clock = "redis.call('TIME')";
    assert!(script.contains(clock));
    script.replacen(
        clock,
        &format!("{{{}, {}}}", now / 1000, now % 1000 * 1000),
        1,
    )
}

/// Runs it for one limit or budget, with what holds for all and the question.
async fn run(
    server: &ValkeyProcess,
    script: &str,
    hash: &str,
    all: &[String],
    asks: [u64; 9],
) -> Vec<i64> {
    let mut command: Vec<&[u8]> = vec![b"EVAL", script.as_bytes(), b"1", hash.as_bytes()];
    command.extend(all.iter().map(String::as_bytes));
    #[expect(clippy::cast_precision_loss, reason = "they are exact")]
    let question = asks.map(|number| (number as f64).to_le_bytes()).concat();
    command.push(&question);
    let said = server.says(&command).await;
    let said: Vec<String> = said
        .iter()
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect();
    let numbers = said.iter().map(|text| text.trim_start_matches(':').parse());
    numbers
        .collect::<Result<_, _>>()
        .unwrap_or_else(|_| panic!("{said:?}"))
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap()
}

fn node(number: usize) -> FleetNode {
    FleetNode::from(format!("n{number}.0"))
}

#[tokio::test]
async fn the_script_for_limits_divides_as_the_machine_does() {
    let Some(server) = ValkeyProcess::start(&[]).await else {
        return;
    };
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let limit = [3, 40, 1000, 1_000_000][random.usize(..4)];
        let least = random.u64(1..=1 + limit / 5);
        // Several kinds of one owner.
        let hash = format!("{{t}}:h{}", seed / 4);
        let mut machine = SharedLimit::default();
        let (mut now, mut seqs, mut has) = (1_700_000_000_000, [0; 9], [0; 9]);
        for step in 0..400 {
            let long = if random.u8(..40) == 0 { 90_000 } else { 700 };
            now += random.u64(..long);
            let of = random.usize(..9);
            // Now and then one comes late.
            seqs[of] += u64::from(random.u8(..10) > 0);
            let asks = ShareQuestion {
                seq: seqs[of],
                limit,
                has: if random.u8(..8) == 0 {
                    random.u64(..=limit)
                } else {
                    has[of]
                },
                used: random.u64(..=limit / 4),
                demand: if random.bool() {
                    random.u64(..=limit)
                } else {
                    0
                },
                least,
                ttl: Duration::from_secs(random.u64(1..4)),
                span: Duration::from_secs(if random.bool() { 61 } else { 0 }),
            };
            let given = machine.ask(&node(of), asks, Time::from_millis(now));
            let mut all = vec![node(of).to_string()];
            all.extend(
                [
                    ms(share::HOLD),
                    ms(share::REST),
                    ms(share::SETTLING),
                    share::FIRST_PART,
                    3_600_000,
                ]
                .map(|number| number.to_string()),
            );
            let question = [
                seed % 4,
                asks.seq,
                limit,
                asks.has,
                asks.used,
                asks.demand,
                least,
                ms(asks.ttl),
                ms(asks.span),
            ];
            let said = run(&server, &at(SHARE, now), &hash, &all, question).await;
            let expected = given.map_or(vec![-1, -1], |given| {
                vec![
                    i64::try_from(given.share).unwrap(),
                    i64::try_from(given.nodes).unwrap(),
                ]
            });
            assert_eq!(said, expected, "seed {seed}, step {step}: {asks:?}");
            if let Some(given) = given {
                has[of] = given.share;
            }
        }
    }
}

#[tokio::test]
async fn the_script_for_budgets_divides_as_the_machine_does() {
    let Some(server) = ValkeyProcess::start(&[]).await else {
        return;
    };
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let amount = [50, 3000, 1 << 50][random.usize(..3)];
        let hash = format!("{{t}}:b{seed}");
        let mut machine = SharedBudget::default();
        let (mut now, mut seqs, mut used, mut has) = (1_700_000_000_000, [0; 6], [0; 6], [0; 6]);
        for step in 0..300 {
            now += random.u64(..400);
            let of = random.usize(..6);
            seqs[of] += u64::from(random.u8(..10) > 0);
            used[of] = random.u64(used[of]..=used[of].max(has[of]));
            if random.u8(..6) == 0 {
                has[of] = used[of];
            }
            let asks = ClaimQuestion {
                seq: seqs[of],
                amount,
                has: has[of],
                used: used[of],
                want: random.u64(..=amount / 8),
                need: random.u64(..=amount / 20),
                heard: random.u64(..=amount / 10),
                nodes: random.u64(0..7),
            };
            let given = machine.ask(&node(of), asks, Time::from_millis(now));
            let mut all = vec![node(of).to_string()];
            all.extend([ms(money::SETTLING), money::FIRST_PART].map(|number| number.to_string()));
            let question = [
                asks.seq, amount, asks.has, asks.used, asks.want, asks.need, asks.heard,
                asks.nodes, 3_600_000,
            ];
            let said = run(&server, &at(CLAIM, now), &hash, &all, question).await;
            let expected = given.map_or(vec![-1; 3], |given| {
                [given.claimed, given.spent, given.left]
                    .map(|number| i64::try_from(number).unwrap())
                    .to_vec()
            });
            assert_eq!(said, expected, "seed {seed}, step {step}: {asks:?}");
            if let Some(given) = given {
                has[of] = given.claimed;
            }
        }
    }
}
