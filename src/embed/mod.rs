//! Floor 7: Pointsman inside of another program. The whole public API of the library: small, so that everything behind it may
//! change.

mod answer;
mod configuration;
mod error;
mod pointsman;
mod query;

pub use answer::{Answer, AnswerEvent, AnswerStream};
pub use configuration::Configuration;
pub use error::{AskError, ConfigurationError, StartFailure};
pub use pointsman::Pointsman;
pub use query::Query;
