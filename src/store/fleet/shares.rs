//! Asks for shares of limits and parts of budgets: one script for all of each, whose work does not grow with the processes.

use std::time::Duration;

use super::keys::FleetKeys;
use super::parts::ANSWER;
use crate::domain::fleet::money::{self, GivenClaim};
use crate::domain::fleet::quota::{LimitSubject, QuotaKind};
use crate::domain::fleet::quotas::{BudgetQuestion, QuotaAnswers};
use crate::domain::fleet::share::{self, GivenShare, ShareQuestion};
use crate::domain::ids::FleetNode;
use crate::store::valkey::link::{Link, LinkFault};
use crate::wire::fleet::secret::FleetSecret;

const SHARE: &str = include_str!("scripts/share.lua");
const CLAIM: &str = include_str!("scripts/claim.lua");
/// What counts in limits is remembered for so long after the last question that could need it, longer than any share lasts:
/// only a question that counts all claims anew says how long.
const SPARE: Duration = Duration::from_secs(300);

/// What is asked at once.
#[derive(Clone, Debug)]
pub(super) struct Questions {
    pub(super) round: u64,
    pub(super) shares: Vec<(LimitSubject, ShareQuestion)>,
    pub(super) claims: Vec<BudgetQuestion>,
}

/// Asks, for this process.
pub(super) async fn ask(
    link: &Link,
    keys: &FleetKeys,
    secret: &FleetSecret,
    node: &FleetNode,
    questions: &Questions,
) -> Result<QuotaAnswers, LinkFault> {
    let mut commands = redis::pipe();
    if !questions.shares.is_empty() {
        share_command(&mut commands, keys, secret, node, &questions.shares);
    }
    if !questions.claims.is_empty() {
        claim_command(&mut commands, keys, secret, node, &questions.claims);
    }
    let answers: Vec<Vec<i64>> = link.ask(&commands, ANSWER).await?;
    let mut answers = answers.into_iter();
    let mut told = QuotaAnswers {
        round: questions.round,
        ..QuotaAnswers::default()
    };
    let number = |number: i64| u64::try_from(number).ok();
    if !questions.shares.is_empty() {
        let answer = answers.next().unwrap_or_default();
        let (pairs, _) = answer.as_chunks::<2>();
        for ([share, nodes], (subject, _)) in pairs.iter().zip(&questions.shares) {
            if let (Some(share), Some(nodes)) = (number(*share), number(*nodes)) {
                told.shares.push((*subject, GivenShare { share, nodes }));
            }
        }
    }
    if !questions.claims.is_empty() {
        let answer = answers.next().unwrap_or_default();
        let (triples, _) = answer.as_chunks::<3>();
        for ([claimed, spent, left], question) in triples.iter().zip(&questions.claims) {
            if let (Some(claimed), Some(spent), Some(left)) =
                (number(*claimed), number(*spent), number(*left))
            {
                let given = GivenClaim {
                    claimed,
                    spent,
                    left,
                };
                told.claims.push((question.subject, given));
            }
        }
    }
    Ok(told)
}

fn share_command(
    commands: &mut redis::Pipeline,
    keys: &FleetKeys,
    secret: &FleetSecret,
    node: &FleetNode,
    shares: &[(LimitSubject, ShareQuestion)],
) {
    // What one owner's limits are asked about goes over together.
    let owners = || shares.chunk_by(|(one, _), (next, _)| one.owner == next.owner);
    let eval = commands.cmd("EVAL").arg(SHARE).arg(owners().count());
    for owned in owners() {
        if let Some((subject, _)) = owned.first() {
            eval.arg(format!("{}{}", keys.limits, secret.limits(&subject.owner)));
        }
    }
    eval.arg(node.as_str()).arg(whole(share::HOLD));
    eval.arg(whole(share::REST)).arg(whole(share::SETTLING));
    // As long as what counts longest: who asks for one kind alone must not have another one forgotten.
    eval.arg(share::FIRST_PART)
        .arg(whole(QuotaKind::Day.span() + SPARE));
    for owned in owners() {
        let questions = owned.iter().map(|(subject, asks)| {
            doubles([
                subject.kind.number(),
                asks.seq,
                asks.limit,
                asks.has,
                asks.used,
                asks.demand,
                asks.least,
                whole(asks.ttl),
                whole(asks.span),
            ])
        });
        eval.arg(questions.collect::<Vec<_>>().concat());
    }
}

fn claim_command(
    commands: &mut redis::Pipeline,
    keys: &FleetKeys,
    secret: &FleetSecret,
    node: &FleetNode,
    claims: &[BudgetQuestion],
) {
    let eval = commands.cmd("EVAL").arg(CLAIM).arg(claims.len());
    for question in claims {
        eval.arg(format!(
            "{}{}",
            keys.budget,
            secret.budget(question.subject)
        ));
    }
    eval.arg(node.as_str()).arg(whole(money::SETTLING));
    eval.arg(money::FIRST_PART);
    for BudgetQuestion { asks, lasts, .. } in claims {
        eval.arg(doubles([
            asks.seq,
            asks.amount,
            asks.has,
            asks.used,
            asks.want,
            asks.need,
            asks.heard,
            asks.nodes,
            whole(*lasts),
        ]));
    }
}

/// The numbers of a question, as scripts read them: doubles, the lowest byte first.
fn doubles(numbers: [u64; 9]) -> Vec<u8> {
    #[expect(clippy::cast_precision_loss, reason = "they are exact")]
    let bytes = numbers.map(|number| (exact(number) as f64).to_le_bytes());
    bytes.concat()
}

/// What a script reckons with stays exact in a double.
fn exact(number: u64) -> u64 {
    number.min(1 << 52)
}

fn whole(span: Duration) -> u64 {
    exact(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
