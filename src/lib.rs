//! Pointsman: the dispatcher between programs and LLM providers.
//!
//! A table of contents, from the ground up; each floor uses only those below it (`docs/architecture.md`).
#![cfg_attr(
    not(test),
    warn(clippy::too_many_lines, reason = "a step has a name of its own")
)]

pub mod domain;

pub mod wire;

pub mod config;

pub mod access;
pub mod runtime;
pub mod store;
pub mod telemetry;
pub mod upstream;

pub mod actors;

pub mod dispatch;

pub mod admin;
pub mod api;
pub mod listener;

pub mod app;
pub mod cli;
