//! OpenAI's API: requests, answers, streams, errors, models.

pub mod answered;
pub mod content;
pub mod error;
pub mod models;
pub mod prefill;
pub mod request;
pub mod response;
pub mod said;
pub mod splice;
pub mod stream;
pub mod transcript;
pub mod usage;
