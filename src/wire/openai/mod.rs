//! OpenAI's API: requests, answers, streams, errors, models.

pub mod error;
pub mod models;
pub mod request;
pub mod response;
pub mod stream;
pub mod usage;
