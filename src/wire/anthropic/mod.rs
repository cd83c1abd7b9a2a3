//! Anthropic's API: messages, their token counts, streams, errors, models.

mod caller;
mod error;
mod inspect;
mod ir;
mod model;
mod models;
mod on_google;
mod upstream;

pub(in crate::wire) use ir::{Blocks, encode_foreign, input_of, is_answer, says};
pub(in crate::wire) use model::{ModelRules, Sampling, Thinking};

/// Its name in the configuration and in the rows of operations.
pub(in crate::wire) const ID: &str = "anthropic";

/// Anthropic's API, for upstreams and callers.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;
