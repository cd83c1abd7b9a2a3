//! Pointsman: the dispatcher between programs and LLM providers.
pub mod cli;
pub mod config;
pub mod domain;
