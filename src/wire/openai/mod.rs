//! OpenAI's API: requests, answers, streams, errors, models.

pub mod answered;
pub mod content;
mod envelope;
pub mod error;
pub mod error_event;
mod event;
mod fields;
mod foreign;
mod inband;
pub mod models;
pub mod prefill;
pub mod reasoning;
pub mod request;
pub mod response;
pub mod said;
pub mod splice;
pub mod stream;
pub mod stream_options;
pub mod transcript;
pub mod usage;
