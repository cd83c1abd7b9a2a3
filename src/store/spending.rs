//! What was spent, in the state file. Amounts are 10⁻¹² of the currency's unit.

use serde::{Deserialize, Serialize};

use super::snapshot::SnapshotSpending;
use crate::domain::budget::{BudgetScope, Period, PersistedMeter, SpendKey, SpendSum, Spender};
use crate::domain::money::Pico;

/// Rows beyond this are not read.
const MOST: usize = 100_000;

/// The part of the file.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct StoredSpending {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    windows: Vec<WindowRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rows: Vec<RowRecord>,
}

#[derive(Serialize, Deserialize)]
struct WindowRecord {
    of: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    targets: Vec<Box<str>>,
    every: String,
    timezone: String,
    number: i64,
    spent: u64,
    /// Amounts of soft budgets, and the last mark that was told of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    told: Vec<(u64, u8)>,
}

#[derive(Serialize, Deserialize)]
struct RowRecord {
    day: i64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    client: String,
    target: String,
    provider: String,
    cost: u64,
    #[serde(default)]
    estimated: u64,
    requests: u64,
    attempts: u64,
}

impl StoredSpending {
    pub(super) fn is_empty(&self) -> bool {
        self.windows.is_empty() && self.rows.is_empty()
    }

    pub(super) fn encoded(spending: &SnapshotSpending) -> Self {
        let windows = spending.meters.iter().map(|meter| WindowRecord {
            of: meter.scope.owner.kind().to_owned(),
            name: meter.scope.owner.name().to_owned(),
            targets: meter.scope.targets.to_vec(),
            every: meter.period.word(),
            timezone: meter.zone.to_string(),
            number: meter.number,
            spent: meter.spent.get(),
            told: meter
                .told
                .iter()
                .map(|(of, told)| (of.get(), *told))
                .collect(),
        });
        let rows = spending.rows.iter().map(|(key, sum)| RowRecord {
            day: key.day,
            client: key.client.to_string(),
            target: key.target.to_string(),
            provider: key.provider.to_string(),
            cost: sum.cost.get(),
            estimated: sum.estimated.get(),
            requests: sum.requests,
            attempts: sum.attempts,
        });
        Self {
            windows: windows.collect(),
            rows: rows.collect(),
        }
    }

    /// Windows of kinds that only another version knows are left out.
    pub(super) fn decoded(self) -> SnapshotSpending {
        let windows = self.windows.into_iter().take(MOST);
        let meters = windows.filter_map(|record| {
            let told = record.told.into_iter();
            Some(PersistedMeter {
                scope: BudgetScope {
                    owner: Spender::of(&record.of, &record.name)?,
                    targets: record.targets.into(),
                },
                period: Period::read(&record.every)?,
                zone: record.timezone.into(),
                number: record.number,
                spent: Pico::new(record.spent),
                told: told.map(|(of, told)| (Pico::new(of), told)).collect(),
            })
        });
        let rows = self.rows.into_iter().take(MOST).map(|record| {
            let key = SpendKey {
                day: record.day,
                client: record.client.into(),
                target: record.target.into(),
                provider: record.provider.into(),
            };
            let sum = SpendSum {
                cost: Pico::new(record.cost),
                estimated: Pico::new(record.estimated),
                requests: record.requests,
                attempts: record.attempts,
            };
            (key, sum)
        });
        SnapshotSpending {
            meters: meters.collect(),
            rows: rows.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_is_read_back() {
        let spending = SnapshotSpending {
            meters: vec![PersistedMeter {
                scope: BudgetScope {
                    owner: Spender::Client("ci".into()),
                    targets: ["v".into()].into(),
                },
                period: Period::Hours(5),
                zone: "UTC".into(),
                number: 7,
                spent: Pico::new(12),
                told: vec![(Pico::new(10), 100)],
            }],
            rows: vec![(
                SpendKey {
                    day: 20_000,
                    client: "".into(),
                    target: "v".into(),
                    provider: "p".into(),
                },
                SpendSum {
                    cost: Pico::new(9),
                    estimated: Pico::new(1),
                    requests: 2,
                    attempts: 3,
                },
            )],
        };
        let text = serde_json::to_string(&StoredSpending::encoded(&spending)).unwrap();
        let read: StoredSpending = serde_json::from_str(&text).unwrap();
        assert_eq!(read.decoded(), spending);
        assert!(StoredSpending::encoded(&SnapshotSpending::default()).is_empty());
    }
}
