//! Google's Gemini API (`generateContent`), for upstreams and callers: requests, answers, streams, errors, models.
//!
//! Facts: <https://ai.google.dev/api/generate-content> and the types of google-genai 3.6.

mod caller;
mod embeddings;
mod envelope;
mod error;
mod generation;
mod ir;
mod look;
mod models;
mod names;
mod on_google;
mod replay;
mod rest;
mod schema;
mod tool_names;
mod upstream;
mod upstream_body;
mod vertex_embeddings;

/// Its name in the configuration and in the rows of operations.
const ID: &str = "gemini";

/// Google's Gemini API, for upstreams and callers.
#[derive(Clone, Copy, Debug)]
pub struct Gemini;
