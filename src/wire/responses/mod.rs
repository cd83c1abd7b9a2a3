//! OpenAI's Responses API, as a dialect of its own: for callers at `/v1/responses`, and for upstreams that have nothing else
//! (`dialect: responses`). Nothing is kept between requests: conversations come whole (`store: false`).

mod caller;
mod ir;
mod replay;
mod rest;
mod upstream;

/// Its name in the configuration and in the rows of operations.
pub(in crate::wire) const ID: &str = "responses";

/// The Responses API, for upstreams and callers.
#[derive(Clone, Copy, Debug)]
pub struct Responses;
