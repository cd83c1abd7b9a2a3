//! Pointsman: the dispatcher between programs and LLM providers.
pub mod actors;
pub mod api;
pub mod dispatch;
pub mod cli;
pub mod config;
pub mod domain;
pub mod runtime;
pub mod telemetry;
pub mod upstream;
pub mod wire;
