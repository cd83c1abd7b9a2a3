//! The server's scripts against what they are to do, question by question, at moments that the test makes up.

use std::time::Duration;

use pointsman::domain::fleet::money::{self, ClaimQuestion, SharedBudget};
use pointsman::domain::fleet::share::{self, ShareQuestion, SharedLimit};
use pointsman::domain::ids::FleetNode;
use pointsman::domain::time::Time;

use crate::support::valkey::ValkeyProcess;

const SHARE: &str = include_str!("../../../src/store/fleet/scripts/share.lua");
const CLAIM: &str = include_str!("../../../src/store/fleet/scripts/claim.lua");

/// How long what was used counts, for each kind.
const SPANS: [Duration; 4] = [
    Duration::from_secs(59),
    Duration::from_secs(7),
    Duration::from_secs(3000),
    Duration::ZERO,
];

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

/// Runs it with what holds for all, and for each hash the questions.
async fn run(
    server: &ValkeyProcess,
    script: &str,
    all: &[String],
    questions: &[(String, Vec<u8>)],
) -> Vec<i64> {
    let count = questions.len().to_string();
    let mut command: Vec<&[u8]> = vec![b"EVAL", script.as_bytes(), count.as_bytes()];
    command.extend(questions.iter().map(|(hash, _)| hash.as_bytes()));
    command.extend(all.iter().map(String::as_bytes));
    command.extend(questions.iter().map(|(_, question)| &question[..]));
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

fn doubles<const COUNT: usize>(numbers: [u64; COUNT]) -> Vec<u8> {
    #[expect(clippy::cast_precision_loss, reason = "they are exact")]
    let bytes = numbers.map(|number| (number as f64).to_le_bytes());
    bytes.concat()
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap()
}

fn node(number: usize) -> FleetNode {
    FleetNode::from(format!("n{number}.0"))
}

/// A limit that nine processes share, and what each has of it.
struct DividedLimit {
    machine: SharedLimit,
    limit: u64,
    least: u64,
    has: [u64; 9],
}

impl DividedLimit {
    fn new(random: &mut fastrand::Rng) -> Self {
        let limit = [3, 40, 1000, 1_000_000][random.usize(..4)];
        Self {
            machine: SharedLimit::default(),
            limit,
            least: random.u64(1..=1 + limit / 5),
            has: [0; 9],
        }
    }

    fn asks(
        &self,
        of: usize,
        seq: u64,
        span: Duration,
        random: &mut fastrand::Rng,
    ) -> ShareQuestion {
        let limit = self.limit;
        ShareQuestion {
            seq,
            limit,
            has: if random.u8(..8) == 0 {
                random.u64(..=limit)
            } else {
                self.has[of]
            },
            used: random.u64(..=limit / 4),
            demand: if random.bool() {
                random.u64(..=limit)
            } else {
                0
            },
            least: self.least,
            ttl: Duration::from_secs(random.u64(1..4)),
            span,
        }
    }
}

#[tokio::test]
async fn the_script_for_limits_divides_as_the_machine_does() {
    let Some(server) = ValkeyProcess::start(&[]).await else {
        return;
    };
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        // All kinds of two owners.
        let mut limits: Vec<_> = (0..8).map(|_| DividedLimit::new(&mut random)).collect();
        let (mut now, mut seqs) = (1_700_000_000_000, [0; 9]);
        for step in 0..400 {
            let long = if random.u8(..40) == 0 { 90_000 } else { 700 };
            now += random.u64(..long);
            let of = random.usize(..9);
            // Now and then one comes late.
            seqs[of] += u64::from(random.u8(..10) > 0);
            let (mut questions, mut asked, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            for owner in 0..2 {
                let mut question = Vec::new();
                // One kind, or all, or some.
                let (mask, one) = (random.u8(..16), random.u8(..3) == 0);
                for kind in 0..4 {
                    if one && kind != usize::from(mask % 4) || !one && mask & (1 << kind) == 0 {
                        continue;
                    }
                    let limit = &mut limits[owner * 4 + kind];
                    let asks = limit.asks(of, seqs[of], SPANS[kind], &mut random);
                    let given = limit.machine.ask(&node(of), asks, Time::from_millis(now));
                    if let Some(given) = given {
                        limit.has[of] = given.share;
                    }
                    let given = given.map_or([-1, -1], |given| {
                        [given.share, given.nodes].map(|it| i64::try_from(it).unwrap())
                    });
                    expected.extend(given);
                    question.push(u8::try_from(kind).unwrap());
                    question.extend(doubles([
                        asks.limit,
                        asks.has,
                        asks.used,
                        asks.demand,
                        asks.least,
                        ms(asks.ttl),
                    ]));
                    asked.push((owner, kind, asks));
                }
                if !question.is_empty() {
                    questions.push((format!("{{t}}:h{seed}:{owner}"), question));
                }
            }
            let numbers = [
                seqs[of],
                ms(share::HOLD),
                ms(share::REST),
                ms(share::SETTLING),
                share::FIRST_PART,
                3_600_000,
            ];
            let mut all = vec![node(of).to_string()];
            all.extend(numbers.map(|number| number.to_string()));
            all.extend(SPANS.map(|span| ms(span).to_string()));
            let said = run(&server, &at(SHARE, now), &all, &questions).await;
            assert_eq!(said, expected, "seed {seed}, step {step}: {asked:?}");
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
            let question = doubles([
                asks.seq, amount, asks.has, asks.used, asks.want, asks.need, asks.heard,
                asks.nodes, 3_600_000,
            ]);
            let questions = [(hash.clone(), question)];
            let said = run(&server, &at(CLAIM, now), &all, &questions).await;
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
