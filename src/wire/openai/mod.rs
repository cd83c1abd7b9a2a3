//! OpenAI's API: requests, answers, streams, errors, models.

pub mod answered;
pub mod content;
mod envelope;
pub mod error;
mod event;
mod fields;
mod foreign;
mod inband;
pub mod models;
pub mod prefill;
pub mod request;
pub mod response;
pub mod splice;
pub mod stream;
pub mod transcript;
pub mod usage;
