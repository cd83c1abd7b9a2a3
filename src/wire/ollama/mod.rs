//! Ollama's own API, for upstreams: chats as lines of JSON, options by the names of its Modelfile, embeddings.
//!
//! Built on its documentation (`docs/api.md` of the project) and the types of its server (`api/types.go`).

mod embeddings;
mod envelope;
mod ir;
mod look;
mod upstream;

/// Its name in the configuration and in the rows of operations.
pub(in crate::wire) const ID: &str = "ollama";

/// Ollama's own API, for upstreams.
#[derive(Clone, Copy, Debug)]
pub struct Ollama;
