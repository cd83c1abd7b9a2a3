//! The deterministic simulation of the whole dispatcher: real actors, real dispatch, scripted upstreams, a paused
//! clock, one seed.
//!
//! `world` draws what there is, `plan` what clients do, `fault` and `script` what upstreams do; `state` holds every
//! event against the laws with the help of `model`, the simulator's own books; `audit` compares those with what the
//! actors publish; `oracle` says what a dispatcher that knows everything could have served.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers, and shares of them"
)]

mod asked;
mod audit;
mod calls;
mod client;
mod dice;
mod fault;
mod flood;
mod keeping;
pub mod listen;
mod metered;
mod model;
mod oracle;
mod plan;
mod purses;
mod ranking;
mod refusals;
mod reload;
pub mod report;
pub mod run;
pub mod scenario;
mod script;
mod served;
mod sessions;
mod shared_calls;
mod shelf;
mod spenders;
mod state;
mod swarm;
pub mod tally;
mod upstream;
pub mod world;
