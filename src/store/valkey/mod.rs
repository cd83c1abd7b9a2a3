//! A server of the Redis protocol, Valkey above all, as a store beside the process: [`link`] is the connection that is
//! made anew by itself and never waited for, [`codec`] an entry's form in bytes.

pub mod codec;
mod connection;
pub mod link;
pub mod sealing;
mod tls;
