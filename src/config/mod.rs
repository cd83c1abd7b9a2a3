//! Floor 2: files, variables and arguments become one validated, immutable [`Config`].
//!
//! Everything comes in through [`LoadRequest`]: nothing here reads the process's environment. All mistakes
//! are reported at once, each with its place and what to write instead; none shows key material.

mod account_keys;
mod added;
mod addition_rules;
mod additions;
mod addresses;
mod admin;
mod budgets;
mod cache_keys;
mod cache_server;
mod caching;
pub mod catalog;
mod cel;
mod choices;
mod clients;
mod clouds;
mod context;
mod credentials;
mod describe;
mod dispatch;
mod dotenv;
mod endpoint;
mod env;
mod error;
mod fleet;
mod fleet_config;
pub mod hosts;
mod interpolate;
mod key_files;
mod keys;
mod known_facts;
mod known_lists;
mod listen;
mod listeners;
mod load;
mod lookup;
mod mask;
mod mend;
mod model_lists;
mod odd_keys;
mod offering;
mod otlp;
mod outbound;
mod pages;
mod policies;
mod price;
mod price_values;
mod provider;
mod provider_access;
mod provider_address;
mod provider_keys;
mod ranking;
mod raw;
mod read;
mod reference;
mod request;
mod resolve;
mod resolved;
mod score_files;
mod shapes;
mod state;
mod streams;
mod tags;
mod telemetry;
mod tokens;
mod traces;
mod traces_form;
mod units;
mod values;
mod variables;
mod virtuals;
mod when;
mod zone;

pub use additions::{
    AddedKey, AddedProvider, AdditionConflict, AdditionRules, AdditionUse, Additions, KeyOrigin,
    LoadedAdditions, PlacedAddition, SecretReference, number_of, printed_keys,
};
pub use addresses::{addresses, admin_addresses};
pub use catalog::wanted_variables;
pub use error::{ConfigErrors, Problem};
pub use key_files::files_at;
pub use known_lists::{CatalogConfig, Discovery, FetchedLists, ListKey, ListPlace, shown_url};
pub use listen::Listen;
pub use listeners::{Listeners, TlsSettings};
pub use load::{load, load_text, load_text_with, load_with};
pub use mask::shown as masked;
pub use mend::{Mend, mended, mends};
pub use model_lists::shown_notes;
pub use otlp::{Compression, OtlpPolicy, OtlpTarget};
pub use pages::Pages;
pub use reference::{reference, schema};
pub use request::LoadRequest;
pub use resolved::{
    AdminConfig, ClientConfig, Config, DnsConfig, KeyConfig, LogFormat, ProviderConfig,
    ProxyConfig, ServerConfig,
};
pub use telemetry::{ContentCapture, MetricsPolicy, TelemetryPolicy, Temporality};
pub use units::{duration, show as show_duration};
pub use zone::moment;

#[cfg(test)]
use listeners::UnixFileMode;
#[cfg(test)]
use resolved::Mock;
#[cfg(test)]
use traces::TracesPolicy;

#[cfg(test)]
mod tests;
