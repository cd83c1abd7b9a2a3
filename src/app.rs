//! The wiring: from a configuration to a running process, to another configuration, and back down.
//!
//! Up: tree, dispatch, listeners. Down, on a signal: not ready, no new connections, what is under way gets
//! its time, then the rest.

mod access;
mod additions;
mod admin;
mod assemble;
mod caching;
mod embedded;
mod error;
mod fleet;
pub(crate) mod key_tests;
mod listening;
mod metrics;
mod model_entries;
mod orders;
mod process;
mod programs;
mod reader;
mod refresher;
mod reload;
mod reloads;
mod run;
mod state_writer;
mod surroundings;
mod traces;
mod watch;

pub(crate) use embedded::EmbeddedProcess;
pub use error::{StartError, chain};
pub(crate) use listening::try_tls;
pub use reader::ConfigReader;
pub(crate) use refresher::{ListUpdate, current as current_lists, update as update_lists};
pub use run::run;
pub(crate) use surroundings::surroundings;
