//! Asks for shares of limits and parts of budgets: one script for all of each, whose work does not grow with the processes.

use std::time::Duration;

use super::keys::FleetKeys;
use super::script::{FleetScript, ScriptCall, ScriptRunner};
use crate::domain::fleet::money::{self, GivenClaim};
use crate::domain::fleet::quota::{LimitSubject, QuotaKind};
use crate::domain::fleet::quotas::{BudgetQuestion, QuotaAnswers};
use crate::domain::fleet::share::{self, GivenShare, ShareQuestion};
use crate::domain::ids::FleetNode;
use crate::store::valkey::link::{Link, LinkFault};
use crate::wire::fleet::secret::FleetSecret;

static SHARE: FleetScript = FleetScript::new(include_str!("scripts/share.lua"));
static CLAIM: FleetScript = FleetScript::new(include_str!("scripts/claim.lua"));
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
    (runner, link): (&mut ScriptRunner, &Link),
    keys: &FleetKeys,
    secret: &FleetSecret,
    node: &FleetNode,
    questions: &Questions,
) -> Result<QuotaAnswers, LinkFault> {
    let mut calls = Vec::new();
    if !questions.shares.is_empty() {
        let asked = (questions.round, &questions.shares[..]);
        calls.push(share_call(keys, secret, node, asked));
    }
    if !questions.claims.is_empty() {
        calls.push(claim_call(keys, secret, node, &questions.claims));
    }
    let answers: Vec<Vec<i64>> = runner.run_all(link, &calls).await?;
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

fn share_call(
    keys: &FleetKeys,
    secret: &FleetSecret,
    node: &FleetNode,
    (round, shares): (u64, &[(LimitSubject, ShareQuestion)]),
) -> ScriptCall {
    // What one owner's limits are asked about goes over together.
    let owners = || shares.chunk_by(|(one, _), (next, _)| one.owner == next.owner);
    let mut call = SHARE.call(owners().count());
    for owned in owners() {
        if let Some((subject, _)) = owned.first() {
            call.arg(format!("{}{}", keys.limits, secret.limits(&subject.owner)));
        }
    }
    call.arg(node.as_str()).arg(exact(round));
    call.arg(whole(share::HOLD)).arg(whole(share::REST));
    call.arg(whole(share::SETTLING)).arg(share::FIRST_PART);
    // As long as what counts longest: who asks for one kind alone must not have another one forgotten.
    call.arg(whole(QuotaKind::Day.span() + SPARE));
    for kind in QuotaKind::ALL {
        call.arg(whole(kind.span()));
    }
    for owned in owners() {
        let questions = owned.iter().map(|(subject, asks)| {
            let numbers = doubles([
                asks.limit,
                asks.has,
                asks.used,
                asks.demand,
                asks.least,
                whole(asks.ttl),
            ]);
            [&[subject.kind.number()][..], &numbers].concat()
        });
        call.arg(questions.collect::<Vec<_>>().concat());
    }
    call
}

fn claim_call(
    keys: &FleetKeys,
    secret: &FleetSecret,
    node: &FleetNode,
    claims: &[BudgetQuestion],
) -> ScriptCall {
    let mut call = CLAIM.call(claims.len());
    for question in claims {
        call.arg(format!(
            "{}{}",
            keys.budget,
            secret.budget(question.subject)
        ));
    }
    call.arg(node.as_str()).arg(whole(money::SETTLING));
    call.arg(money::FIRST_PART);
    for BudgetQuestion { asks, lasts, .. } in claims {
        call.arg(doubles([
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
    call
}

/// The numbers of a question, as scripts read them: doubles, the lowest byte first.
fn doubles<const COUNT: usize>(numbers: [u64; COUNT]) -> Vec<u8> {
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
