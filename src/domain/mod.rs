//! Floor 0: the machines that decide, as plain synchronous Rust.
//!
//! No I/O, no clock, no logging, no runtime: time is always an argument (see [`time::Time`]).
//! Each file holds one machine or one small family of values.

pub mod address;
pub mod allowance;
pub mod attempt_record;
pub mod attempts;
pub mod backoff;
pub mod blame;
pub mod breaker;
pub mod chain;
pub mod client;
pub mod concurrency;
pub mod condition;
pub mod connection;
pub mod cooldown;
pub mod dialect;
pub mod dropped;
pub mod error_code;
pub mod estimate;
pub mod fair_queue;
pub mod finish;
pub mod gcra;
pub mod hedge;
pub mod ids;
pub mod key_state;
pub mod latency;
pub mod learned;
pub mod limits;
pub mod lost_race;
pub mod near;
pub mod outcome;
pub mod pace;
pub mod persisted;
pub mod plan;
pub mod policy;
pub mod price;
pub mod profile;
pub mod provider_state;
pub mod ramp;
pub mod refusal;
pub mod rescue;
pub mod restart;
pub mod retry_budget;
pub mod rotation;
pub mod sampling;
pub mod secret;
pub mod settlement;
pub mod shown;
pub mod skipped;
pub mod target;
pub mod time;
pub mod trace;
pub mod usage;
pub mod waiting;
pub mod window;
