//! Anthropic's API: messages, their token counts, streams, errors, models.

mod caller;
mod error;
mod inspect;
mod ir;
mod model;
mod models;
mod upstream;

/// Its name in the configuration and in the rows of operations.
const ID: &str = "anthropic";

/// Anthropic's API, for upstreams and callers.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;
