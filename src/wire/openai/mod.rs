//! OpenAI's API: requests, answers, streams, errors, models.

mod answered;
mod caller;
mod completions;
mod embeddings;
mod envelope;
mod error;
pub mod error_event;
mod fields;
#[cfg(test)]
pub(in crate::wire) mod for_tests;
mod foreign;
pub(in crate::wire) mod generation;
mod inband;
mod ir;
mod models;
pub mod prefill;
mod replay;
pub mod response;
pub mod stream;
mod stream_options;
mod text_size;
mod upstream;

/// Its name in the configuration and in the rows of operations.
pub(in crate::wire) const ID: &str = "openai";

/// OpenAI's API, for upstreams and callers.
#[derive(Clone, Copy, Debug)]
pub struct OpenAi;
