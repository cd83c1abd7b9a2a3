//! What actors say to each other. `actors.md` describes each message: who sends it, what follows, what
//! happens if it is lost.

pub mod key;
pub mod provider;
pub mod router;
pub mod supervisor;
