//! How keys are tested, and what comes of one.

use std::time::Duration;

use crate::domain::key_verdict::KeyVerdict;

/// How keys are tested.
pub(crate) struct KeyTestOptions {
    /// The names of the providers; empty: all.
    pub providers: Vec<String>,
    /// Whether one token may be paid for where nothing else proves a key.
    pub live: bool,
    /// Calls at the same time, at least 1.
    pub concurrency: usize,
    /// Calls at the same time to one provider, at least 1.
    pub per_provider: usize,
    /// How long one call may take.
    pub timeout: Duration,
}

/// What came of one key.
#[derive(Clone, Debug)]
pub(crate) struct KeyTest {
    /// The provider's name.
    pub provider: String,
    /// The number of the key there, from 1.
    pub number: usize,
    /// The key as it may be shown; `None` where the provider needs none.
    pub masked: Option<String>,
    /// Where the configuration has it from.
    pub source: String,
    /// Whether it is good.
    pub verdict: KeyVerdict,
    /// The status of the answer that says so.
    pub http: Option<u16>,
    /// How long that took, in milliseconds.
    pub millis: Option<u64>,
    /// How many models the provider lists for it.
    pub models: Option<usize>,
    /// What else there is to say, without any credential.
    pub note: String,
}
