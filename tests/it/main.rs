//! Tests from outside: of the house itself, and of the program as its users see it, over HTTP against
//! scripted upstreams.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a helper of a test that cannot go on ends the test; the bans are for the product"
)]

mod access;
mod admin;
mod affinity;
mod anthropic;
mod basics;
mod bench;
mod blast_radius;
mod bounds;
mod breaker;
mod browser;
mod budgets;
mod cache;
mod catalog;
mod cli;
mod clouds;
mod contentless;
mod cooldown;
mod deploy;
mod descriptors;
mod disguises;
mod drain;
mod embed;
mod error_bodies;
mod eval;
mod explain;
mod failover;
mod fetch;
mod fleet;
mod floods;
mod foreign_streams;
mod gemini;
mod headers;
mod health;
mod hedging;
mod hints;
mod import;
mod init;
mod key_limits;
mod keys;
mod laws;
mod limits;
mod listeners;
mod media;
mod metrics;
mod models;
mod ollama;
mod operations;
mod outbound;
mod pacing;
#[path = "../../examples/pacing/sim.rs"]
mod pacing_sim;
mod passthrough;
mod profile;
mod ramp;
mod refusals;
mod reload;
mod remedies;
mod rescue;
mod responses;
mod rotation;
mod routing;
mod sdks;
mod secrets;
mod simulation;
mod situations;
mod smuggling;
mod state;
mod stats;
mod stream_ends;
mod streaming;
mod support;
mod targets;
mod tidy;
mod tls;
mod top;
mod traces;
mod translation;
mod transport;
mod valkey;
mod whose_fault;
