//! What was spent, by client, target, provider or day, as JSON or CSV, and how budgets stand.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::AdminRefusal;
use super::state::AdminState;
use crate::budgets::SpendRow;
use crate::domain::budget::{BudgetStanding, BudgetView, KEPT_DAYS, MOST_ROWS, SpendBy, SpendSum};
use crate::wire::stamp::rfc3339_of;

/// The columns of sums.
const SUMS: [&str; 4] = ["cost", "estimated", "requests", "attempts"];

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpendQuestion {
    /// Columns with commas between them.
    #[serde(default)]
    by: String,
    /// So many days, the present one included.
    days: Option<i64>,
    format: Option<SpendForm>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SpendForm {
    Json,
    Csv,
}

pub(super) async fn spend(
    State(admin): State<Arc<AdminState>>,
    headers: HeaderMap,
    asked: Result<Query<SpendQuestion>, QueryRejection>,
) -> Result<Response, AdminRefusal> {
    let Query(asked) = asked.map_err(|error| AdminRefusal::invalid(error.body_text()))?;
    let by = columns(&asked.by)?;
    let days = asked.days.unwrap_or(KEPT_DAYS);
    if !(1..=KEPT_DAYS).contains(&days) {
        let message = format!("`days` is 1 to {KEPT_DAYS}");
        return Err(AdminRefusal::invalid(message));
    }
    let form = asked.format.unwrap_or_else(|| accepted(&headers));
    let dispatch = admin.dispatch();
    let wall = admin.clock.anchor().wall.as_secs();
    let unix = i64::try_from(wall).unwrap_or(i64::MAX);
    let rows = dispatch.budgets.sums(by.clone(), days, unix).await;
    Ok(match form {
        SpendForm::Csv => {
            let kind = HeaderValue::from_static("text/csv; charset=utf-8");
            ([(header::CONTENT_TYPE, kind)], csv(&by, &rows)).into_response()
        }
        SpendForm::Json => {
            let budgets = dispatch.budgets.views(unix);
            let rows: Vec<Value> = rows.iter().map(|it| row(&by, it)).collect();
            let columns: Vec<&str> = by.iter().map(|by| by.as_str()).collect();
            Json(json!({
                "by": columns,
                "days": days,
                "most_rows": MOST_ROWS,
                "rows": rows,
                "budgets": budgets.iter().map(budget).collect::<Vec<_>>(),
            }))
            .into_response()
        }
    })
}

fn columns(by: &str) -> Result<Vec<SpendBy>, AdminRefusal> {
    let mut columns = Vec::new();
    for word in by.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let mut all = SpendBy::ALL.into_iter();
        let Some(column) = all.find(|one| one.as_str() == word) else {
            let message = format!("`by` is some of client, target, provider, day, not `{word}`");
            return Err(AdminRefusal::invalid(message));
        };
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    Ok(columns)
}

fn accepted(headers: &HeaderMap) -> SpendForm {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    match accept.is_some_and(|accept| accept.contains("text/csv")) {
        true => SpendForm::Csv,
        false => SpendForm::Json,
    }
}

fn sums(sum: &SpendSum) -> [String; 4] {
    [
        sum.cost.to_string(),
        sum.estimated.to_string(),
        sum.requests.to_string(),
        sum.attempts.to_string(),
    ]
}

/// Amounts are decimals in texts.
fn row(by: &[SpendBy], (names, sum): &SpendRow) -> Value {
    let mut fields = Map::new();
    for (by, name) in by.iter().zip(names) {
        fields.insert(by.as_str().to_owned(), json!(name));
    }
    fields.insert("cost".to_owned(), json!(sum.cost.to_string()));
    fields.insert("estimated".to_owned(), json!(sum.estimated.to_string()));
    fields.insert("requests".to_owned(), json!(sum.requests));
    fields.insert("attempts".to_owned(), json!(sum.attempts));
    Value::Object(fields)
}

/// How a budget stood when a request asked for room.
pub(super) fn standing(budget: &BudgetStanding) -> Value {
    json!({
        "budget": budget.what,
        "amount": budget.amount.to_string(),
        "spent": budget.spent.to_string(),
        "reserved": budget.reserved.to_string(),
        "ends_at": budget.ends,
    })
}

/// The same for people.
pub(super) fn in_words(budget: &BudgetStanding) -> String {
    let BudgetStanding {
        what,
        spent,
        reserved,
        ends,
        ..
    } = budget;
    let ends = ends.and_then(|ends| u64::try_from(ends).ok());
    let ends = ends.map(|ends| format!(", until {}", rfc3339_of(ends)));
    let ends = ends.unwrap_or_default();
    format!("{what} has {spent} spent and {reserved} reserved{ends}")
}

/// How a budget stands.
pub(super) fn budget(view: &BudgetView) -> Value {
    let budget = &view.budget;
    json!({
        "of": budget.scope.owner.kind(),
        "name": budget.scope.owner.name(),
        "targets": *budget.scope.targets,
        "every": budget.period.word(),
        "timezone": *budget.zone.name,
        "mode": budget.mode.as_str(),
        "amount": budget.amount.to_string(),
        "spent": view.spent.to_string(),
        "reserved": view.reserved.to_string(),
        "over_run": view.over_run.to_string(),
        "ends_at": view.ends,
        "then": budget.then.as_deref(),
    })
}

/// RFC 4180, with a head.
fn csv(by: &[SpendBy], rows: &[SpendRow]) -> String {
    let head = by.iter().map(|by| by.as_str()).chain(SUMS);
    let mut text = head.collect::<Vec<_>>().join(",");
    text.push_str("\r\n");
    for (names, sum) in rows {
        for name in names {
            // Writing to a text never fails.
            let _ = write!(text, "{},", cell(name));
        }
        let _ = write!(text, "{}\r\n", sums(sum).join(","));
    }
    text
}

/// A name as a cell. Callers make up names of targets: one that a spreadsheet would take for a formula becomes a text.
fn cell(name: &str) -> String {
    let guard = match name.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => "'",
        false => "",
    };
    if guard.is_empty() && !name.contains([',', '"', '\n', '\r']) {
        return name.to_owned();
    }
    format!("\"{guard}{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_texts() {
        for (name, expected) in [
            ("plain:model", "plain:model"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("", ""),
        ] {
            assert_eq!(cell(name), expected);
        }
    }

    #[test]
    fn columns_are_checked() {
        let by = columns("client, day,client").unwrap();
        assert_eq!(by, [SpendBy::Client, SpendBy::Day]);
        assert!(columns("").unwrap().is_empty());
        assert!(columns("model").is_err());
    }
}
