//! Floor 2: files, variables and arguments become one validated, immutable [`Config`].
//!
//! Everything comes in through [`LoadRequest`]: nothing here reads the process's environment. All mistakes
//! are reported at once, each with its place and what to write instead; none shows key material.

mod addresses;
pub mod catalog;
mod clients;
mod context;
mod describe;
mod endpoint;
mod env;
mod error;
mod interpolate;
mod keys;
mod listen;
mod load;
mod lookup;
mod policies;
mod provider;
mod raw;
mod read;
mod reference;
mod request;
mod resolve;
mod resolved;
mod shapes;
mod streams;
mod units;
mod values;
mod virtuals;

pub use addresses::addresses;
pub use error::{ConfigErrors, Problem};
pub use listen::Listen;
pub use load::{load, load_text};
pub use reference::{reference, schema};
pub use request::LoadRequest;
pub use resolved::{Client, Config, Key, Log, LogFormat, Mock, Provider, Server};
pub use units::{duration, show as show_duration};

#[cfg(test)]
mod tests;
