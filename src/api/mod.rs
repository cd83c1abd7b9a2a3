//! Floor 6: the data listener. HTTP comes in here, and answers and errors go out in the caller's shape.

mod answer_headers;
mod body;
mod browser;
mod door;
mod error;
mod front;
mod handlers;
mod health;
mod identity;
mod keepalive;
mod model_list;
mod request_headers;
mod routes;
mod state;

pub use browser::Entrance;
pub use door::Door;
pub use front::Front;
pub use state::{Api, Serving};
