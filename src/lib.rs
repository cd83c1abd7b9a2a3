//! Pointsman: the dispatcher between programs and LLM providers.
//!
//! The modules from the ground up; each floor uses only those below it (`docs/architecture.md`):
//!
//! - [`domain`]: state machines and rules, with time and randomness as arguments.
//! - [`wire`]: requests, answers, streams, errors and headers of the APIs.
//! - [`config`]: files and variables, read into one valid configuration.
//! - [`access`]: clients, their tokens and their limits.
//! - [`budgets`]: what is spent, and what may be.
//! - [`eval`]: cases, and whether answers are as they should be.
//! - [`affinity`]: which key holds what a provider keeps.
//! - [`runtime`]: the clock, tasks and buffers.
//! - [`store`]: the state file.
//! - [`telemetry`]: log, metrics, traces and events.
//! - [`upstream`]: HTTP calls to providers.
//! - [`actors`]: the owners of state: supervisor, router, providers and keys.
//! - [`dispatch`]: one request from its admission to the end of its answer.
//! - [`admin`]: the admin listener's routes and its page.
//! - [`api`]: the data listener's routes.
//! - [`listener`]: sockets, TLS and connections.
//! - [`app`]: the wiring of a process.
//! - [`cli`]: the command line.
#![cfg_attr(
    not(test),
    warn(clippy::too_many_lines, reason = "a step has a name of its own")
)]

pub mod domain;

pub mod wire;

pub mod config;

pub mod access;
pub mod affinity;
pub mod budgets;
pub mod eval;
pub mod import;
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
