//! OpenAI's API: requests, answers, streams, errors, models.

pub mod answered;
pub mod content;
pub mod error;
pub mod error_event;
pub mod models;
pub mod prefill;
pub mod request;
pub mod response;
pub mod splice;
pub mod stream;
pub mod stream_options;
pub mod transcript;
pub mod usage;
