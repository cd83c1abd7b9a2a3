//! Floor 6: the data listener. HTTP comes in here, and answers and errors go out in the caller's shape.

mod admission_limit;
mod answer_headers;
mod body;
mod browser;
mod count;
mod direct;
mod error;
mod event_list;
mod handlers;
mod health;
mod identity;
mod keepalive;
mod model_list;
mod passthrough;
mod request_headers;
mod respond;
mod retired;
mod routed;
mod routes;
mod service;
mod state;
mod stats;
mod upload;

pub use admission_limit::AdmissionLimit;
pub use browser::DataConnectionInfo;
pub use direct::{DirectAnswer, DirectBody, DirectBodyError, post};
pub use service::ApiService;
pub use state::{Api, Serving, ShownProvider};
