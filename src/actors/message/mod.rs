//! The messages between actors. `actors.md` describes each one: its sender, its effect, and what
//! happens if it is lost.

pub mod fleet;
pub mod key;
pub mod provider;
pub mod router;
pub mod supervisor;
