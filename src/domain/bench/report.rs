//! All requests of one run in a report.

use std::collections::BTreeMap;

use super::numbers::real;
use super::sample::{Goals, RequestSample, SampleEnd};
use super::summary::{MetricSummary, summarised};
use crate::domain::money::Pico;

/// What a run came to. Requests that did not end well are counted, and in no latency.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct BenchReport {
    /// From the first request to the last answer, in seconds.
    pub seconds: f64,
    /// Requests with all of their answer.
    pub completed: u64,
    /// Requests whose answer broke off.
    pub incomplete: u64,
    /// Requests without an answer.
    pub failed: u64,
    /// Tokens of their prompts.
    pub input_tokens: u64,
    /// Tokens of their answers.
    pub output_tokens: u64,
    /// Of the completed requests those that met all goals; `None` without goals.
    pub good: Option<u64>,
    /// Time to first token, in milliseconds.
    pub ttft: Option<MetricSummary>,
    /// Time per output token after the first, in milliseconds.
    pub tpot: Option<MetricSummary>,
    /// Inter-token latency, in milliseconds.
    pub itl: Option<MetricSummary>,
    /// End-to-end latency, in milliseconds.
    pub e2el: Option<MetricSummary>,
    /// Attempts of all requests.
    pub attempts: u64,
    /// Requests that took more than one.
    pub tried_again: u64,
    /// Requests whose answer was kept, or was that of an equal request.
    pub kept: u64,
    /// What is known to have been spent.
    pub cost: Pico,
    /// Requests of which it is not known what they cost.
    pub unpriced: u64,
    /// How many each upstream served.
    pub upstreams: BTreeMap<String, u64>,
    /// Why requests did not end well, and how often.
    pub faults: BTreeMap<String, u64>,
}

impl BenchReport {
    /// The report of these requests, which took so many seconds together.
    pub fn of(samples: &[RequestSample], seconds: f64, goals: &Goals) -> Self {
        let mut report = Self {
            seconds,
            good: goals.are_set().then_some(0),
            ..Self::default()
        };
        let mut figures: [Vec<f64>; 4] = Default::default();
        for sample in samples {
            report.count(sample);
            if sample.end != SampleEnd::Completed {
                continue;
            }
            let [ttft, tpot, itl, e2el] = &mut figures;
            ttft.extend(sample.ttft());
            tpot.extend(sample.tpot());
            itl.extend(sample.itl());
            e2el.extend(sample.e2el());
            if let Some(good) = report.good.as_mut().filter(|_| goals.are_met(sample)) {
                *good += 1;
            }
        }
        let [ttft, tpot, itl, e2el] = figures.map(summarised);
        Self {
            ttft,
            tpot,
            itl,
            e2el,
            ..report
        }
    }

    fn count(&mut self, sample: &RequestSample) {
        let fault = match &sample.end {
            SampleEnd::Completed => {
                self.completed += 1;
                self.input_tokens += sample.input_tokens;
                self.output_tokens += sample.output_tokens;
                None
            }
            SampleEnd::Incomplete(why) => {
                self.incomplete += 1;
                Some(format!("incomplete: {why}"))
            }
            SampleEnd::Failed(why) => {
                self.failed += 1;
                Some(why.clone())
            }
        };
        if let Some(fault) = fault {
            *self.faults.entry(fault).or_default() += 1;
        }
        self.attempts += sample.attempts;
        self.tried_again += u64::from(sample.attempts > 1);
        self.kept += u64::from(sample.is_kept);
        match sample.cost {
            Some(cost) => self.cost = self.cost.plus(cost),
            None => self.unpriced += 1,
        }
        if let Some(upstream) = &sample.upstream {
            match self.upstreams.get_mut(&**upstream) {
                Some(count) => *count += 1,
                None => drop(self.upstreams.insert(upstream.to_string(), 1)),
            }
        }
    }

    /// How many requests there were.
    pub const fn requests(&self) -> u64 {
        self.completed + self.incomplete + self.failed
    }

    fn per_second(&self, count: u64) -> f64 {
        if self.seconds > 0.0 {
            real(count) / self.seconds
        } else {
            0.0
        }
    }

    /// Completed requests per second.
    pub fn request_throughput(&self) -> f64 {
        self.per_second(self.completed)
    }

    /// Completed requests per second that met all goals; `None` without goals.
    pub fn request_goodput(&self) -> Option<f64> {
        self.good.map(|good| self.per_second(good))
    }

    /// Tokens of answers per second.
    pub fn output_throughput(&self) -> f64 {
        self.per_second(self.output_tokens)
    }

    /// Tokens of prompts and answers per second.
    pub fn total_token_throughput(&self) -> f64 {
        self.per_second(self.input_tokens + self.output_tokens)
    }

    /// The latencies by vLLM's names.
    pub const fn latencies(&self) -> [(&'static str, Option<MetricSummary>); 4] {
        [
            ("ttft", self.ttft),
            ("tpot", self.tpot),
            ("itl", self.itl),
            ("e2el", self.e2el),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(end: SampleEnd, tokens: &[f64]) -> RequestSample {
        RequestSample {
            end,
            tokens: tokens.to_vec(),
            input_tokens: 10,
            output_tokens: u64::try_from(tokens.len()).unwrap(),
            attempts: 2,
            upstream: Some("a:m".into()),
            cost: Some(Pico::new(5)),
            ..RequestSample::failed("")
        }
    }

    #[test]
    fn only_what_ended_well_is_in_the_latencies() {
        let cut = SampleEnd::Incomplete("cut".to_owned());
        let samples = [
            sample(SampleEnd::Completed, &[200.0, 250.0, 300.0, 400.0, 500.0]),
            sample(cut, &[1.0, 2.0, 3.0]),
            RequestSample::failed("429 rate_limited"),
        ];
        let goals = Goals {
            ttft: Some(250.0),
            ..Goals::default()
        };
        let report = BenchReport::of(&samples, 2.0, &goals);
        assert_eq!(
            (report.completed, report.incomplete, report.failed),
            (1, 1, 1)
        );
        assert_eq!((report.input_tokens, report.output_tokens), (10, 5));
        assert_eq!(report.ttft.unwrap().p99, 200.0);
        let itl = report.itl.unwrap();
        assert_eq!((itl.mean, itl.median), (75.0, 75.0));
        assert_eq!(report.request_throughput(), 0.5);
        assert_eq!(report.request_goodput(), Some(0.5));
        assert_eq!(report.total_token_throughput(), 7.5);
        assert_eq!((report.attempts, report.tried_again), (4, 2));
        assert_eq!((report.cost, report.unpriced), (Pico::new(10), 1));
        assert_eq!(report.upstreams["a:m"], 2);
        assert_eq!(report.faults.len(), 2);
        let none = BenchReport::of(&[], 0.0, &Goals::default());
        assert_eq!((none.request_throughput(), none.good), (0.0, None));
    }
}
