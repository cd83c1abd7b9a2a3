//! Floor 3: who may call, and how much. Clients are found by the hash of their token; what they take is counted in
//! plain atomics, so that no request waits for another one's counting.

mod client;
mod clients;
mod usage;

pub use client::{Client, ClientPermit, RateExceeded, Reads, Reservation};
pub use clients::Clients;
