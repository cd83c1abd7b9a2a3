//! Pointsman: the dispatcher between programs and LLM providers.
pub mod domain;
