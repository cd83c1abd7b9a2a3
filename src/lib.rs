//! Pointsman: the dispatcher between programs and LLM providers, as a part of a program.
//!
//! The binary serves programs over HTTP; this library is the same dispatcher without the way over a socket: a
//! [`Configuration`] makes a [`Pointsman`], which is asked a [`Query`]. `docs/embedding.md` is the guide, `examples/embed.rs` a
//! program.
//!
//! That is all of the API. The modules below are public only for the tests and benchmarks of the repository (the feature
//! `internals`, which promises nothing): what else nobody uses the compiler finds. Each floor uses only those below it
//! (`docs/architecture.md`):
//!
//! - `domain`: state machines and rules, with time and randomness as arguments.
//! - `wire`: requests, answers, streams, errors and headers of the APIs.
//! - `config`: files and variables, read into one valid configuration.
//! - `access`: clients, their tokens and their limits.
//! - `budgets`: what is spent, and what may be.
//! - `eval`: cases, and whether answers are as they should be.
//! - `affinity`: which key holds what a provider keeps.
//! - `runtime`: the clock, tasks and buffers.
//! - `store`: the state file.
//! - `telemetry`: log, metrics, traces and events.
//! - `upstream`: HTTP calls to providers.
//! - `actors`: the owners of state: supervisor, router, providers and keys.
//! - `dispatch`: one request from its admission to the end of its answer.
//! - `admin`: the admin listener's routes and its page.
//! - `api`: the data listener's routes.
//! - `listener`: sockets, TLS and connections.
//! - `app`: the wiring of a process.
//! - `embed`: the public API.
//! - `cli`: the command line.
#![cfg_attr(
    not(test),
    warn(clippy::too_many_lines, reason = "a step has a name of its own")
)]

mod embed;

// Each is named twice, as a macro that did it would hide their files from rustfmt.
#[cfg(feature = "internals")]
pub mod access;
#[cfg(feature = "internals")]
pub mod actors;
#[cfg(feature = "internals")]
pub mod admin;
#[cfg(feature = "internals")]
pub mod affinity;
#[cfg(feature = "internals")]
pub mod api;
#[cfg(feature = "internals")]
pub mod app;
#[cfg(feature = "internals")]
pub mod budgets;
#[cfg(feature = "internals")]
pub mod cli;
#[cfg(feature = "internals")]
pub mod config;
#[cfg(feature = "internals")]
pub mod dispatch;
#[cfg(feature = "internals")]
pub mod domain;
#[cfg(feature = "internals")]
pub mod eval;
#[cfg(feature = "internals")]
pub mod import;
#[cfg(feature = "internals")]
pub mod listener;
#[cfg(feature = "internals")]
pub mod runtime;
#[cfg(feature = "internals")]
pub mod store;
#[cfg(feature = "internals")]
pub mod telemetry;
#[cfg(feature = "internals")]
pub mod upstream;
#[cfg(feature = "internals")]
pub mod wire;

#[cfg(not(feature = "internals"))]
mod access;
#[cfg(not(feature = "internals"))]
mod actors;
#[cfg(not(feature = "internals"))]
mod admin;
#[cfg(not(feature = "internals"))]
mod affinity;
#[cfg(not(feature = "internals"))]
mod api;
#[cfg(not(feature = "internals"))]
mod app;
#[cfg(not(feature = "internals"))]
mod budgets;
#[cfg(not(feature = "internals"))]
mod cli;
#[cfg(not(feature = "internals"))]
mod config;
#[cfg(not(feature = "internals"))]
mod dispatch;
#[cfg(not(feature = "internals"))]
mod domain;
#[cfg(not(feature = "internals"))]
mod eval;
#[cfg(not(feature = "internals"))]
mod import;
#[cfg(not(feature = "internals"))]
mod listener;
#[cfg(not(feature = "internals"))]
mod runtime;
#[cfg(not(feature = "internals"))]
mod store;
#[cfg(not(feature = "internals"))]
mod telemetry;
#[cfg(not(feature = "internals"))]
mod upstream;
#[cfg(not(feature = "internals"))]
mod wire;

pub use embed::{
    Answer, AnswerEvent, AnswerStream, AskError, Configuration, ConfigurationError, Pointsman,
    Query, StartFailure,
};

/// What the binary runs: the command line of this process.
pub use cli::main;
