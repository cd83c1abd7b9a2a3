//! What the process itself adds to a call: how long it takes for a target that answers at once, its own echo.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use super::connection::{BenchConnection, BenchServer};
use super::requests::RequestMaker;
use crate::domain::bench::{SampleEnd, summarised};

/// Requests with which echoes are told apart: some are made slow on purpose.
const FIRST: u64 = 10;
/// Requests that are measured.
const ALL: u64 = 200;
/// An echo that takes longer is none to measure by.
const SLOW: f64 = 50.0;

/// The echoes of a list of models.
pub(super) fn echoes(list: &Value) -> Vec<String> {
    let models = list["data"].as_array().into_iter().flatten();
    let ids = models.filter_map(|model| model["id"].as_str());
    let echoes = ids.filter(|id| id.ends_with(":echo"));
    echoes.map(str::to_owned).collect()
}

/// The median of the fastest of these targets, in milliseconds: until the first token, or until all of a whole answer.
pub(super) async fn measured(server: &Arc<BenchServer>, makers: Vec<RequestMaker>) -> Option<f64> {
    let mut best: Option<(f64, RequestMaker)> = None;
    for maker in makers {
        let took = median(server, &maker, FIRST).await;
        let is_better = |took: &f64| best.as_ref().is_none_or(|(best, _)| took < best);
        if let Some(took) = took.filter(is_better).filter(|took| *took < SLOW) {
            best = Some((took, maker));
        }
    }
    let (_, maker) = best?;
    median(server, &maker, ALL).await
}

async fn median(server: &Arc<BenchServer>, maker: &RequestMaker, count: u64) -> Option<f64> {
    let mut connection = BenchConnection::new(server);
    let mut times = Vec::new();
    for number in 0..count {
        let request = maker.request(number);
        let end = connection.exchange(&request, Instant::now()).await;
        let sample = connection.sample_of(end);
        if sample.end == SampleEnd::Completed && sample.attempts == 1 {
            times.extend(sample.ttft().or_else(|| sample.e2el()));
        }
    }
    summarised(times).map(|times| times.median)
}
