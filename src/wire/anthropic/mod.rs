//! Anthropic's API: messages, their token counts, streams, errors, models.

mod caller;
mod error;
mod inspect;
pub(in crate::wire) mod ir;
pub(in crate::wire) mod model;
mod models;
mod on_google;
mod replay;
mod rest;
mod upstream;

/// Its name in the configuration and in the rows of operations.
pub(in crate::wire) const ID: &str = "anthropic";

/// Anthropic's API, for upstreams and callers.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;
