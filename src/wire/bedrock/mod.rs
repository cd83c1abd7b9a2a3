//! Amazon Bedrock's Converse API: one form for the models of all makers there, with its streams and errors, for upstreams.

mod betas;
mod envelope;
mod exception;
mod ir;
mod look;
mod model;
mod upstream;

/// Its name in the configuration and in the rows of operations.
const ID: &str = "bedrock";

/// Bedrock's Converse API, for upstreams.
#[derive(Clone, Copy, Debug)]
pub struct Bedrock;
