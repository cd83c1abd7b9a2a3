//! Floor 3: clients and their limits. Clients are found by the hash of their token; usage is counted in plain atomics,
//! so that no request waits for another one's counting.

mod client;
mod clients;
mod rate;
mod shares;
mod usage;

pub use client::{Client, ClientPermit, RateExceeded, Reads, Reservation, cut_off};
pub use clients::Clients;
