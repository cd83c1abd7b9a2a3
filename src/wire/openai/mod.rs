//! OpenAI's API: requests, answers, streams, errors, models.

pub mod answered;
mod envelope;
pub mod error;
pub mod error_event;
mod fields;
mod foreign;
mod inband;
pub mod models;
pub mod prefill;
pub mod response;
pub mod said;
pub mod stream;
pub mod stream_options;
