//! Answers that are there before any upstream is asked: kept from before, or asked for by an equal request that is under way
//! (`docs/cache.md`).

pub(super) mod flight;
mod flights;
pub(super) mod found;
mod joined;
pub(super) mod keep;
mod look;
pub(super) mod marks;
pub(super) mod place;
mod refused;
mod serve;
mod share;
mod state;
pub(super) mod told;

pub use flights::{FlightCounts, Flights};
pub use state::{Caching, ProviderMark};
