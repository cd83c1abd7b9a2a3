//! `GET /stats`: what each upstream did and whether it can be asked, in the shape of LLM Gateway ("BEST"), whose users'
//! scripts read it. Access is that of `GET /v1/models`; a client sees what it may ask for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::handlers::{json as answer, refuse};
use super::identity::identify;
use super::state::{Api, Serving};
use crate::access::Client;
use crate::dispatch::Dispatch;
use crate::domain::ids::Upstream;
use crate::domain::policy::{Score, Scores};
use crate::domain::time::Time;
use crate::telemetry::totals::UpstreamTotals;

pub(super) async fn stats(State(api): State<Arc<Api>>, request: Request) -> Response {
    let serving = api.serving();
    match identify(&serving, request.uri(), request.headers()) {
        Ok(client) => {
            let body = whole(&serving, client.as_deref()).to_string();
            answer(&request, StatusCode::OK, body.into())
        }
        Err(error) => refuse(request, &error),
    }
}

fn whole(serving: &Serving, client: Option<&Client>) -> Value {
    let dispatch = &serving.dispatch;
    let may_ask = |id: &str, chain| client.is_none_or(|client| client.may_ask(Some(id), chain));
    let listed = dispatch.targets.listed().iter();
    let listed = listed.filter(|line| may_ask(&line.id, &line.chain));
    let upstreams: BTreeSet<&Upstream> = listed.flat_map(|line| &line.chain.upstreams).collect();
    let totals = upstreams.iter().map(|upstream| {
        let totals = dispatch.recorder.totals().of(upstream);
        (*upstream, totals.unwrap_or_default())
    });
    let totals: Vec<(&Upstream, UpstreamTotals)> = totals.collect();
    let is_available = |upstream: &Upstream| dispatch.tree.usable_keys(upstream).usable > 0;
    let available = upstreams.iter().filter(|upstream| is_available(upstream));
    let (available, total) = (available.count(), upstreams.len());
    let providers = totals
        .iter()
        .map(|(upstream, own)| provider(serving, upstream, own, &totals));
    let since = dispatch.clock.wall().duration_since(SystemTime::UNIX_EPOCH);
    json!({"stats": {
        "providers": providers.collect::<Vec<_>>(),
        "total_providers": total,
        "available_providers": available,
        "timestamp": seconds(since.unwrap_or_default()),
        "overall": counts(&sum(totals.iter().map(|(_, own)| own))),
    }})
}

fn provider(
    serving: &Serving,
    upstream: &Upstream,
    own: &UpstreamTotals,
    all: &[(&Upstream, UpstreamTotals)],
) -> Value {
    let dispatch = &serving.dispatch;
    let (of_provider, of_model) = cooldowns(dispatch, upstream);
    let beside = all.iter();
    let beside = beside.filter(|(other, _)| other.provider == upstream.provider);
    let failures: u64 = beside.map(|(_, own)| own.failed_in_a_row).sum();
    let mut shown = counts(own);
    let known = serving.providers.get(&upstream.provider);
    let usable = dispatch.tree.usable_keys(upstream).usable > 0;
    let latest = own.latest.iter().map(|span| seconds(*span));
    if let Some(fields) = shown.as_object_mut() {
        for (name, value) in [
            ("provider", json!(upstream.provider.as_str())),
            ("model_name", json!(upstream.model.as_str())),
            ("base_url", json!(known.map(|known| &*known.base_url))),
            ("priority", priority(serving, upstream)),
            ("base_cooldown_remaining", seconds(of_provider)),
            ("model_cooldown_remaining", seconds(of_model)),
            ("base_failures", json!(failures)),
            ("model_failures", json!(own.failed_in_a_row)),
            ("is_available", json!(usable)),
            ("latencies", latest.collect()),
        ] {
            fields.insert(name.to_owned(), value);
        }
    }
    shown
}

/// What decides about its place in `priority-auto` and in tiers.
fn priority(serving: &Serving, upstream: &Upstream) -> Value {
    let dispatch = &serving.dispatch;
    let endpoint = dispatch.endpoints.get(&upstream.provider);
    let base = endpoint.map_or(1.0, |endpoint| endpoint.base_priority);
    let window = dispatch.window_of(upstream);
    let score = Score::default().score(&upstream.model, window, base);
    let known = serving.providers.get(&upstream.provider);
    json!({
        "base_priority": base,
        "context_length": window,
        "overall_score": rounded(score, 4),
        "tier": known.map(|known| known.tier),
    })
}

/// How long the provider is out as a whole, and how long its model is.
fn cooldowns(dispatch: &Dispatch, upstream: &Upstream) -> (Duration, Duration) {
    let now = dispatch.clock.now();
    let cells = dispatch.tree.cells();
    let Some(cells) = cells.providers.get(&upstream.provider) else {
        return (Duration::ZERO, Duration::ZERO);
    };
    let view = cells.provider.view();
    // All its keys are out: until the first of them is back.
    let outages = cells
        .keys
        .iter()
        .map(|key| key.view().outage(now)?.ready_at);
    let outages: Option<Vec<_>> = outages.collect();
    let keys = outages.and_then(|all| all.into_iter().min());
    let of_provider = view.cooling.max(view.held).max(keys);
    let (_, open, _) = view.breaker(&upstream.model, now);
    let known = view.upstream(&upstream.model);
    let gone = known.and_then(|known| known.absences.everything(now));
    let cooling = cells.keys.iter().map(|key| {
        let view = key.view();
        let mut all = view.cooling.iter();
        let own = all.find(|(model, until)| *model == upstream.model && now < *until);
        own.map(|(_, until)| *until)
    });
    let cooling: Option<Vec<_>> = cooling.collect();
    let cooling = cooling.and_then(|all| all.into_iter().min());
    let left = |until: Option<Time>| until.map_or(Duration::ZERO, |until| until.until(now));
    (left(of_provider), left(open.max(gone).max(cooling)))
}

fn sum<'a>(all: impl Iterator<Item = &'a UpstreamTotals>) -> UpstreamTotals {
    all.fold(UpstreamTotals::default(), |sum, one| UpstreamTotals {
        served: sum.served + one.served,
        failed: sum.failed + one.failed,
        failed_in_a_row: 0,
        input_tokens: sum.input_tokens + one.input_tokens,
        output_tokens: sum.output_tokens + one.output_tokens,
        range: match (sum.range, one.range) {
            (Some((shortest, longest)), Some((least, most))) => {
                Some((shortest.min(least), longest.max(most)))
            }
            (known, other) => known.or(other),
        },
        sum: sum.sum + one.sum,
        latest: Vec::new(),
    })
}

fn counts(of: &UpstreamTotals) -> Value {
    let calls = of.served + of.failed;
    let rate = match calls {
        0 => 0.0,
        calls => number(of.failed) * 100.0 / number(calls),
    };
    let mean = (of.served > 0).then(|| of.sum.as_secs_f64() / number(of.served));
    json!({
        "successful_calls": of.served,
        "failed_calls": of.failed,
        "failure_rate": rounded(rate, 2),
        "input_tokens": of.input_tokens,
        "generated_tokens": of.output_tokens,
        "min_latency": of.range.map(|(shortest, _)| seconds(shortest)),
        "max_latency": of.range.map(|(_, longest)| seconds(longest)),
        "mean_latency": mean.map(|mean| rounded(mean, 3)),
    })
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

fn seconds(span: Duration) -> Value {
    rounded(span.as_secs_f64(), 3)
}

fn rounded(value: f64, places: i32) -> Value {
    let factor = 10_f64.powi(places);
    json!((value * factor).round() / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_all_upstreams_together() {
        let millis = Duration::from_millis;
        let one = UpstreamTotals {
            served: 2,
            failed: 1,
            input_tokens: 10,
            range: Some((millis(100), millis(301))),
            sum: millis(401),
            ..UpstreamTotals::default()
        };
        let other = UpstreamTotals {
            served: 1,
            range: Some((millis(50), millis(50))),
            sum: millis(50),
            output_tokens: 7,
            ..UpstreamTotals::default()
        };
        let none = UpstreamTotals::default();
        let told = counts(&sum([&one, &none, &other].into_iter()));
        assert_eq!(
            told,
            json!({"successful_calls": 3, "failed_calls": 1, "failure_rate": 25.0, "input_tokens": 10,
                "generated_tokens": 7, "min_latency": 0.05, "max_latency": 0.301, "mean_latency": 0.15})
        );
        assert_eq!(counts(&none)["mean_latency"], Value::Null);
        assert_eq!(counts(&none)["failure_rate"], 0.0);
    }
}
