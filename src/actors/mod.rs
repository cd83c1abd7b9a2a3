//! Floor 4: the actor tree. Only here is ractor used; nothing here knows HTTP.
//!
//! `actors.md` at the top of the repository draws the tree and describes every actor and message.

mod alarm;
pub mod chaos;
pub mod child;
pub mod estate;
pub mod handle;
pub mod key;
mod layout;
pub mod lease;
pub mod mailbox;
pub mod message;
pub mod operator;
mod orders;
pub mod provider;
pub mod route;
pub mod router;
pub mod seat;
pub mod spec;
mod supervisor;
pub mod tree;
pub mod view;
