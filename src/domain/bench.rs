//! What a benchmark measures of requests: the metrics of vLLM's `bench serve`, under its names. Times are in milliseconds
//! since a request was due, so that waiting behind others counts (no coordinated omission). No I/O, no clock, no logging.

mod numbers;
mod report;
mod sample;
mod summary;

pub use self::numbers::poisson_gap;
pub use self::report::BenchReport;
pub use self::sample::{Goals, RequestSample, SampleEnd};
pub use self::summary::summarised;
