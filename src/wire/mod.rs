//! Floor 1: bytes ⇄ meaning, one dialect beside the other. Pure: no I/O, no clock, no logging.

pub mod classify;
pub mod echo;
pub mod encoding;
mod error_doc;
pub mod headers;
pub mod host;
pub mod json;
pub mod key_forms;
pub mod mask;
pub mod openai;
pub mod origin;
pub mod ratelimit;
pub mod redact;
pub mod sse;
pub mod stamp;
pub mod token;
pub mod trace_context;
