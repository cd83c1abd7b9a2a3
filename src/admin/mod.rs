//! Floor 6: the admin listener, by which an operator sees and controls the process, as JSON over HTTP;
//! `docs/admin.md` is its manual, `openapi.json` its description for programs.

mod added_json;
mod additions;
mod answer;
mod body;
mod cache;
mod changes;
mod events;
mod explain;
mod fleet;
mod guard;
mod health;
mod history;
mod keys;
mod mistake;
mod page;
mod process;
mod ranking;
mod requests;
mod routes;
mod routing;
mod service;
mod snapshot;
mod spend;
mod state;
mod upstreams;

pub use changes::{AdditionChange, ChangeDone, ChangeRefusal, OfferedKey, OrderedChange};
pub use guard::AdminConnectionInfo;
pub use mistake::Mistake;
pub use service::AdminService;
pub use state::{AdminParts, AdminState, CurrentConfig, LastReload, ProcessCommand, Reloaded};
