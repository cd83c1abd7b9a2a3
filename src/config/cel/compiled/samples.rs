//! Requests that expressions are tried with at load: one that has everything, and one that has only what all have.

use std::time::Duration;

use super::fields::Input;
use crate::domain::asked::{RequestDetails, RequestShape};
use crate::domain::money::Pico;
use crate::domain::when::ConditionSubject;

/// Everything, or nothing that may be missing. Headers are there in both: an expression that names one means requests with it.
struct CelSample(bool);

impl CelSample {
    fn when<T>(&self, value: T) -> Option<T> {
        self.0.then_some(value)
    }
}

impl RequestDetails for CelSample {
    fn header(&self, _: &str) -> Option<String> {
        Some(String::new())
    }

    fn temperature(&self) -> Option<f64> {
        self.when(1.0)
    }

    fn budget_left(&self) -> Option<Pico> {
        self.when(Pico::ZERO)
    }
}

impl ConditionSubject for CelSample {
    fn name(&self) -> &str {
        "sample"
    }

    fn provider(&self) -> Option<&str> {
        self.when("provider")
    }

    fn model(&self) -> Option<&str> {
        self.when("model")
    }

    fn input_price(&self) -> Option<Pico> {
        self.when(Pico::ZERO)
    }

    fn output_price(&self) -> Option<Pico> {
        self.when(Pico::ZERO)
    }

    fn context_window(&self) -> Option<u64> {
        self.when(1)
    }

    fn first_token(&self) -> Option<Duration> {
        self.when(Duration::from_millis(1))
    }

    fn in_flight(&self) -> u32 {
        0
    }

    fn used_share(&self) -> Option<f64> {
        self.when(0.0)
    }

    fn tags(&self) -> Vec<&str> {
        vec!["tag"]
    }
}

/// What comes of that request.
pub(super) fn with<T>(has_all: bool, run: impl FnOnce(&Input<'_>) -> T) -> T {
    let sample = CelSample(has_all);
    let asked = RequestShape {
        output_tokens: sample.when(1),
        client: sample.when("client"),
        priority: sample.when("normal"),
        details: &sample,
        model: "model",
        ..RequestShape::default()
    };
    run(&Input {
        asked: &asked,
        candidate: &sample,
        local: 0,
    })
}
