//! Floor 4: the actor tree. Only here is ractor used; nothing here knows HTTP.
//!
//! `actors.md` at the top of the repository draws the tree and describes every actor and message.

mod admin_command;
pub mod child;
pub mod child_slot;
pub mod command_sender;
mod expiry_timer;
pub mod fault_hook;
pub mod fleet;
pub mod fleet_status;
pub mod handle;
pub mod handoff;
pub mod key;
mod key_index;
pub mod latency_status;
pub mod lease;
mod life_status;
pub mod mailbox;
pub mod message;
pub mod output_status;
pub mod provider;
mod reconcile;
pub mod route;
pub mod router;
mod router_status;
pub mod spec;
pub mod status;
mod supervisor;
pub mod tree;
mod used_shares;
