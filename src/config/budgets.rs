//! `budgets` of clients, providers and the whole: what is typed, and what it means.

use std::num::NonZeroU64;
use std::sync::Arc;

use serde_json::json;

use super::describe::{Describe, Shape};
use super::price_values::PricePerPiece;
use super::read::{ConfigNode, FromNode, Report, section};
use super::resolved::{ClientConfig, ProviderConfig};
use super::values::{Names, choice};
use super::zone::ZoneForm;
use crate::domain::budget::{BudgetPolicy, BudgetScope, Mode, Period, Spender, UnpricedSpend};
use crate::domain::chain::{ResolveError, Targets};
use crate::domain::money::Pico;
use crate::domain::price::Prices;
use crate::domain::zone::Zone;

/// Tokens of an answer that are reserved where a request names no bound.
const ASSUMED_OUTPUT: u64 = 1024;
/// A larger budget is probably a decimal point that is missing.
const HIGH: Pico = Pico::new(100_000 * 1_000_000_000_000);

section! {
    /// `clients[].budgets[]`; the same of a provider and under `dispatch`
    BudgetSection {
        /// How much may be spent in a window, in the currency of the prices.
        amount: PricePerPiece = required,
        /// The window: `hour`, `day`, `week` (from Monday on), `month`, `total`, or a number of hours or days such as `5h`, counted
        /// from 1970 on. Default `month`.
        every: PeriodForm,
        /// Where days begin: a name such as `Europe/Berlin`. Default `UTC`.
        timezone: ZoneForm,
        /// `hard`: what costs something is refused when it is used up. `soft`: it is only told. Default `hard`.
        mode: Mode,
        /// What a hard budget does with upstreams without a known price: `refuse`, or `allow`, where they count as nothing.
        /// Default `refuse`.
        unpriced: UnpricedSpend,
        /// The targets whose requests it bounds and counts: names of virtual providers, of providers (all their models), or
        /// provider:model. Default: all.
        targets: Names,
        /// The target that requests go to when it is used up. It does not bound what goes there, but counts it.
        then: String,
    }
}

impl BudgetSection {
    fn budget(self, owner: &Spender) -> Option<BudgetPolicy> {
        let PricePerPiece(amount) = self.amount?;
        Some(BudgetPolicy {
            scope: BudgetScope {
                owner: owner.clone(),
                targets: in_order(self.targets),
            },
            amount,
            period: self
                .every
                .map_or(Period::Month, |PeriodForm(period)| period),
            zone: self.timezone.map_or_else(Zone::utc, |ZoneForm(zone)| zone),
            mode: self.mode.unwrap_or_default(),
            unpriced: self.unpriced.unwrap_or_default(),
            then: self.then.map(|name| Arc::from(name.trim())),
        })
    }
}

/// In one order, as these are a part of what is counted.
fn in_order(names: Option<Names>) -> Arc<[Box<str>]> {
    let names = names.into_iter().flat_map(|Names(names)| names);
    let mut names: Vec<Box<str>> = names.map(Box::from).collect();
    names.sort();
    names.dedup();
    names.into()
}

/// The budgets of one owner.
pub(super) fn budgets(
    raw: Option<Vec<BudgetSection>>,
    owner: &Spender,
    path: &str,
    report: &mut Report,
) -> Vec<BudgetPolicy> {
    let mut budgets = Vec::new();
    for (at, raw) in raw.into_iter().flatten().enumerate() {
        let path = format!("{path}.budgets[{at}]");
        let Some(budget) = raw.budget(owner) else {
            // Reported where it was read, or missing.
            let place = report.place(&path);
            let told = report.problems.iter();
            if !told
                .into_iter()
                .any(|problem| problem.place.starts_with(&place))
            {
                report.problem(&path, "has no amount", "write amount: 5, say");
            }
            continue;
        };
        if budget.amount > HIGH {
            let text = format!("{} is much: is a decimal point missing?", budget.amount);
            report.warn(&format!("{path}.amount"), text);
        }
        budgets.push(budget);
    }
    budgets
}

/// Checks what only the whole shows: that targets are there, and that there are prices. Returns all budgets.
pub(super) fn settle(
    (whole, clients, providers): (&[BudgetPolicy], &[ClientConfig], &[ProviderConfig]),
    targets: &Targets,
    has_lists: bool,
    report: &mut Report,
) -> Vec<BudgetPolicy> {
    // What is wrong elsewhere leaves no targets to look at.
    if !report.problems.is_empty() {
        return Vec::new();
    }
    let mut all: Vec<(String, BudgetPolicy)> = Vec::new();
    let mut add = |path: String, budgets: &[BudgetPolicy]| {
        let budgets = budgets.iter().enumerate();
        all.extend(budgets.map(|(at, it)| (format!("{path}.budgets[{at}]"), it.clone())));
    };
    add("dispatch".to_owned(), whole);
    for (at, client) in clients.iter().enumerate() {
        add(format!("clients[{at}]"), &client.budgets);
    }
    for (at, provider) in providers.iter().enumerate() {
        add(format!("llm.providers[{at}]"), &provider.budgets);
    }
    for (path, budget) in &all {
        if let Some(then) = &budget.then {
            check(targets, then, &format!("{path}.then"), report);
        }
        for name in &*budget.scope.targets {
            let is_provider = providers.iter().any(|it| it.name.as_str() == &**name);
            if !is_provider {
                check(targets, name, &format!("{path}.targets"), report);
            }
        }
    }
    let strict = |budget: &BudgetPolicy| {
        budget.mode == Mode::Hard && budget.unpriced == UnpricedSpend::Refuse
    };
    // Lists may have the prices of what discovers.
    let unpriced = |provider: &ProviderConfig| {
        provider.prices == Prices::default() && provider.discover.is_none()
    };
    let strict = all.iter().find(|(_, budget)| strict(budget));
    if let Some((path, _)) = strict.filter(|_| !has_lists && providers.iter().all(unpriced)) {
        let text = "no provider has a price, and a hard budget refuses what has none: set `price` (0 for what is free), or \
                    `unpriced: allow`";
        report.warn(path, text);
    }
    all.into_iter().map(|(_, budget)| budget).collect()
}

/// Reports a name that no target has.
fn check(targets: &Targets, name: &str, path: &str, report: &mut Report) {
    let Err(error) = targets.resolve(Some(name)) else {
        return;
    };
    let near = match &error {
        ResolveError::UnknownTarget { near, .. } => near.first(),
        _ => None,
    };
    let hint = near.map_or_else(
        || "name a provider, a virtual provider or provider:model".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    report.problem(path, format!("nothing is called `{name}`"), &hint);
}

/// What `dispatch` says of them: budgets of the whole, and the output that is assumed.
pub(super) fn of_dispatch(
    raw: Option<Vec<BudgetSection>>,
    assumed: Option<NonZeroU64>,
    report: &mut Report,
) -> (Vec<BudgetPolicy>, u64) {
    let assumed = assumed.map_or(ASSUMED_OUTPUT, NonZeroU64::get);
    let whole = budgets(raw, &Spender::Whole, "dispatch", report);
    (whole, assumed)
}

/// The budgets of a provider.
pub(super) fn of_provider(
    raw: Option<Vec<BudgetSection>>,
    name: &str,
    path: &str,
    report: &mut Report,
) -> Vec<BudgetPolicy> {
    let owner = Spender::Provider(name.into());
    budgets(raw, &owner, path, report)
}

/// How long a window is.
#[derive(Clone, Copy)]
pub(super) struct PeriodForm(Period);

impl FromNode for PeriodForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let period = node.text().and_then(|text| Period::read(&text));
        period.map(Self).or_else(|| {
            node.wrong(
                "hour, day, week, month, total, or hours or days such as 5h",
                report,
            )
        })
    }
}

impl Describe for PeriodForm {
    fn shape() -> Shape {
        let words = Period::WORDS.map(|(word, _)| in_any_case(word)).join("|");
        let pattern = format!(r"^\s*(?:{words}|0*[1-9][0-9]{{0,3}}\s*[hHdD])\s*$");
        let schema = json!({"type": "string", "pattern": pattern});
        Shape::named("window", "window of time", schema)
    }
}

/// A pattern of a word whose letters may be large or small: the dialect of patterns that schemas have knows no flags.
fn in_any_case(word: &str) -> String {
    let letter = |letter: char| {
        if letter.is_ascii_alphabetic() {
            format!("[{letter}{}]", letter.to_ascii_uppercase())
        } else {
            letter.to_string()
        }
    };
    word.chars().map(letter).collect()
}

impl FromNode for Mode {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let choices = [Self::Hard, Self::Soft].map(|mode| (mode.as_str(), mode));
        choice(node, &choices, report)
    }
}

impl FromNode for UnpricedSpend {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        choice(
            node,
            &[("refuse", Self::Refuse), ("allow", Self::Allow)],
            report,
        )
    }
}
