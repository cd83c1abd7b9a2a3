//! `pointsman bench`: how fast a running process, or one of its targets, answers: in an open or a closed loop, once or at one
//! rate after another.

mod connection;
mod consent;
mod load;
mod overhead;
mod prices;
mod requests;
mod shown;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use self::connection::{BenchConnection, BenchServer};
use self::load::{LoadAmount, LoadControl, LoadRun, LoadShape};
use self::prices::PriceTable;
use self::requests::{RequestForm, RequestMaker};
use self::shown::BenchStep;
use super::arguments::BenchArguments;
use super::ask::{Asking, Unasked};
use super::data_listener::{DataError, DataListener};
use super::exit::{
    BAD_INPUT, CANNOT_BIND, NO, USAGE, complain, say, say_json, start, surroundings,
};
use super::progress::ProgressLine;
use crate::app;
use crate::config::{self, LoadRequest};
use crate::domain::bench::{BenchReport, Goals, SampleEnd};
use crate::domain::money::Pico;
use crate::domain::secret::ApiKey;
use crate::runtime::task;

/// Requests a second where nothing is said.
const USUAL_RATE: f64 = 10.0;
/// Requests where nothing is said.
const USUAL_REQUESTS: u64 = 100;
/// The most steps of a sweep that finds its end by itself.
const MOST_STEPS: usize = 16;
/// A sweep ends where less than this share of what is offered is served.
const KEEPS_UP: f64 = 0.9;
/// A sweep of a closed loop ends where twice the connections serve less than this much more.
const GAINS: f64 = 1.05;

/// Why there is no benchmark.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Input(String),
    #[error(transparent)]
    Asking(#[from] DataError),
    #[error("the first request failed: {0}")]
    Probe(String),
    #[error("{0}")]
    Refused(String),
    #[error("")]
    Told(ExitCode),
}

impl BenchError {
    fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(USAGE),
            Self::Input(_) => ExitCode::from(BAD_INPUT),
            Self::Asking(_) => ExitCode::from(CANNOT_BIND),
            Self::Probe(_) | Self::Refused(_) => ExitCode::from(NO),
            Self::Told(code) => *code,
        }
    }
}

pub(super) fn run(arguments: &BenchArguments) -> ExitCode {
    match bench(arguments) {
        Ok(is_good) if is_good => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(NO),
        Err(error) => {
            if !matches!(error, BenchError::Told(_)) {
                complain(&app::chain(&error));
            }
            error.code()
        }
    }
}

/// The benchmark; whether all requests were served.
fn bench(arguments: &BenchArguments) -> Result<bool, BenchError> {
    let goals = goals(&arguments.goodput).map_err(BenchError::Usage)?;
    let shapes = shapes(arguments);
    let listener = DataListener::of(&arguments.side)?;
    let runtime = start(Builder::new_current_thread()).map_err(BenchError::Told)?;
    let list = listed(&listener, arguments.timeout).map_err(DataError::Unasked)?;
    let server = Arc::new(BenchServer {
        prices: prices(arguments, &list),
        address: listener.address,
    });
    let bench = Benchmark {
        arguments,
        runtime: &runtime,
        server,
        token: listener.token,
        goals,
        list,
    };
    let most = bench.consent(&shapes)?;
    let overhead = bench.overhead();
    let steps = bench.steps(shapes, most)?;
    if arguments.json {
        say_json(&format!("{:#}\n", bench.json(&steps, overhead)));
    } else {
        say(&shown::table(&steps, overhead));
    }
    let all = steps
        .iter()
        .all(|step| step.report.requests() == step.report.completed);
    Ok(all && !steps.is_empty())
}

/// `ttft:250` and the like.
fn goals(words: &[String]) -> Result<Goals, String> {
    let mut goals = Goals::default();
    for word in words {
        let read = word.split_once(':');
        let read = read.and_then(|(name, limit)| Some((name, limit.parse::<f64>().ok()?)));
        let good = read.filter(|(_, limit)| limit.is_finite() && *limit > 0.0);
        let goal = match good {
            Some(("ttft", limit)) => (&mut goals.ttft, limit),
            Some(("tpot", limit)) => (&mut goals.tpot, limit),
            Some(("e2el", limit)) => (&mut goals.e2el, limit),
            _ => {
                return Err(format!(
                    "--goodput {word}: write ttft:MS, tpot:MS or e2el:MS, such as ttft:250"
                ));
            }
        };
        *goal.0 = Some(goal.1);
    }
    Ok(goals)
}

/// The loads that are named, at least one.
fn shapes(arguments: &BenchArguments) -> Vec<LoadShape> {
    let is_even = arguments.even;
    let closed = arguments.concurrency.iter().map(|count| LoadShape::Closed {
        concurrency: usize::from(*count).max(1),
    });
    let open = arguments.rate.iter().map(|rate| LoadShape::Open {
        rate: *rate,
        is_even,
    });
    let mut shapes: Vec<LoadShape> = closed.chain(open).collect();
    if shapes.is_empty() {
        shapes.push(LoadShape::Open {
            rate: USUAL_RATE,
            is_even,
        });
    }
    shapes
}

/// What the process lists.
fn listed(listener: &DataListener, timeout: Duration) -> Result<Value, Unasked> {
    let authorization = listener.authorization();
    let request = format!(
        "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{authorization}\r\n"
    );
    let asking = Asking {
        request: request.into_bytes(),
        timeout,
        longest: 64 * 1024 * 1024,
    };
    let answered = listener.ask(asking)?;
    Ok(serde_json::from_str(&answered.body).unwrap_or_default())
}

/// Prices as they are listed. Providers that the process plays itself cost nothing.
fn prices(arguments: &BenchArguments, list: &Value) -> PriceTable {
    let request = LoadRequest {
        config_path: arguments.side.config.clone(),
        ..surroundings()
    };
    let own = config::load(&request).ok();
    let providers = own.iter().flat_map(|config| &config.providers);
    let played = providers.filter(|provider| !provider.dialect.is_remote());
    PriceTable::new(list, played.map(|provider| provider.name.to_string()))
}

/// One invocation.
struct Benchmark<'a> {
    arguments: &'a BenchArguments,
    runtime: &'a Runtime,
    server: Arc<BenchServer>,
    token: Option<ApiKey>,
    goals: Goals,
    /// The models that the process lists.
    list: Value,
}

impl Benchmark<'_> {
    fn form(&self, target: Option<String>) -> RequestForm {
        let arguments = self.arguments;
        RequestForm {
            target,
            stream: !arguments.whole,
            input_tokens: arguments.input_tokens,
            output_tokens: arguments.output_tokens,
            same: arguments.same,
        }
    }

    fn maker(&self) -> Result<RequestMaker, BenchError> {
        let form = self.form(self.arguments.target.clone());
        let file = self.arguments.file.as_deref();
        RequestMaker::new(&form, file, self.token.as_ref()).map_err(BenchError::Input)
    }

    /// How many requests a step has at most.
    fn requests(&self) -> u64 {
        let arguments = self.arguments;
        let usual = match arguments.duration {
            Some(_) => u64::MAX,
            None => USUAL_REQUESTS,
        };
        arguments.requests.unwrap_or(usual)
    }

    /// Sends one request, and asks whether what all of them will cost may be spent. The most that may be spent then.
    fn consent(&self, shapes: &[LoadShape]) -> Result<Option<Pico>, BenchError> {
        let request = self.maker()?.request(u64::from(u32::MAX));
        let mut connection = BenchConnection::new(&self.server);
        let end = self.runtime.block_on(async {
            let exchange = connection.exchange(&request, Instant::now());
            tokio::time::timeout(self.arguments.timeout, exchange).await
        });
        let end = end.map_err(|_| BenchError::Probe("no answer in time".to_owned()))?;
        let sample = connection.sample_of(end);
        if let SampleEnd::Failed(why) = sample.end
            && sample.attempts == 0
        {
            return Err(BenchError::Probe(why));
        }
        let planned = shapes.iter().filter_map(|shape| self.planned(*shape));
        let planned: Vec<u64> = planned.collect();
        let is_bounded = planned.len() == shapes.len() && !self.arguments.sweep;
        let count = planned.into_iter().fold(0, u64::saturating_add);
        let estimate = consent::CostEstimate {
            each: sample.cost,
            requests: is_bounded.then_some(count),
            most: self.arguments.max_cost,
        };
        consent::ask(&estimate, self.arguments.yes).map_err(BenchError::Refused)
    }

    /// How many requests a load has, as far as that is known beforehand.
    fn planned(&self, shape: LoadShape) -> Option<u64> {
        let most = self.requests();
        match (shape, self.arguments.duration) {
            (LoadShape::Open { rate, .. }, Some(duration)) => {
                let expected = (rate * duration.as_secs_f64()).ceil();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "not negative; what is too large is the most"
                )]
                let expected = expected as u64;
                Some(most.min(expected))
            }
            (LoadShape::Closed { .. }, Some(_)) if most == u64::MAX => None,
            _ => Some(most),
        }
    }

    /// What the process itself adds to a call, in milliseconds, if it can be told.
    fn overhead(&self) -> Option<f64> {
        let arguments = self.arguments;
        let echoes = match &arguments.echo {
            Some(name) => vec![name.clone()],
            None => overhead::echoes(&self.list),
        };
        let maker = |echo: &String| {
            let form = self.form(Some(echo.clone()));
            RequestMaker::new(&form, None, self.token.as_ref()).ok()
        };
        let makers = echoes.iter().filter_map(maker).collect();
        let measuring = overhead::measured(&self.server, makers);
        self.runtime.block_on(measuring)
    }

    /// All steps: the loads that are named, or with `--sweep` from the first one on until it keeps up no longer.
    fn steps(
        &self,
        shapes: Vec<LoadShape>,
        most: Option<Pico>,
    ) -> Result<Vec<BenchStep>, BenchError> {
        let mut steps: Vec<BenchStep> = Vec::new();
        let mut left = most;
        let mut wanted: VecDeque<LoadShape> = shapes.into();
        while let Some(shape) = wanted.pop_front() {
            let step = self.step(shape, left)?;
            left = left.map(|left| left.minus(step.report.cost));
            let goes_on = keeps_up(&step, steps.last());
            let is_stopped = step.stopped.is_some();
            steps.push(step);
            if is_stopped {
                break;
            }
            let is_last = wanted.is_empty() && steps.len() < MOST_STEPS;
            if self.arguments.sweep && is_last && goes_on {
                wanted.push_back(doubled(shape));
            }
        }
        Ok(steps)
    }

    fn step(&self, shape: LoadShape, most: Option<Pico>) -> Result<BenchStep, BenchError> {
        let arguments = self.arguments;
        let requests = self.requests();
        let steps = self
            .planned(shape)
            .and_then(|count| usize::try_from(count).ok());
        let progress = ProgressLine::new(steps.unwrap_or(0), arguments.json || steps.is_none());
        let run = Arc::new(LoadRun {
            server: Arc::clone(&self.server),
            maker: self.maker()?,
            amount: LoadAmount {
                requests,
                duration: arguments.duration,
                timeout: arguments.timeout,
                seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..)),
            },
            control: LoadControl::new(most),
            done: Box::new(move || progress.step()),
        });
        let (samples, seconds) = self.runtime.block_on(async {
            let stopping = Arc::clone(&run);
            let _interrupt = task::guarded(async move {
                if tokio::signal::ctrl_c().await.is_ok() {
                    stopping.control.interrupt();
                }
            });
            load::run(Arc::clone(&run), shape).await
        });
        let stopped = match (run.control.is_spent(), run.control.is_interrupted()) {
            (true, _) => Some("--max-cost was reached"),
            (_, true) => Some("interrupted"),
            _ => None,
        };
        Ok(BenchStep {
            shape,
            report: BenchReport::of(&samples, seconds, &self.goals),
            stopped,
        })
    }

    fn json(&self, steps: &[BenchStep], overhead: Option<f64>) -> Value {
        json!({
            "target": self.arguments.target,
            "address": self.server.address.to_string(),
            "stream": !self.arguments.whole,
            "gateway_overhead_ms": overhead,
            "runs": steps.iter().map(shown::to_json).collect::<Vec<_>>(),
        })
    }
}

/// Whether a sweep goes on behind this step.
fn keeps_up(step: &BenchStep, before: Option<&BenchStep>) -> bool {
    let served = step.report.request_throughput();
    let is_good = step.report.completed == step.report.requests();
    match step.shape {
        LoadShape::Open { rate, .. } => is_good && served >= rate * KEEPS_UP,
        LoadShape::Closed { .. } => {
            let before = before.map_or(0.0, |before| before.report.request_throughput());
            is_good && served > before * GAINS
        }
    }
}

fn doubled(shape: LoadShape) -> LoadShape {
    match shape {
        LoadShape::Open { rate, is_even } => LoadShape::Open {
            rate: rate * 2.0,
            is_even,
        },
        LoadShape::Closed { concurrency } => LoadShape::Closed {
            concurrency: concurrency * 2,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_metrics_with_milliseconds() {
        let words = ["ttft:250", "tpot:80.5"].map(str::to_owned);
        let read = goals(&words).unwrap();
        assert_eq!(
            (read.ttft, read.tpot, read.e2el),
            (Some(250.0), Some(80.5), None)
        );
        for wrong in ["ttft", "itl:5", "ttft:-1", "e2el:x", "tpot:inf"] {
            assert!(goals(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
