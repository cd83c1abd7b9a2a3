//! Pointsman: the dispatcher between programs and LLM providers.
pub mod actors;
pub mod domain;
pub mod runtime;
pub mod telemetry;
