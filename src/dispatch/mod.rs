//! Floor 5: a request's own task. It asks the tree for a lease, sends, classifies, settles, and passes the
//! answer on; after a failure that can be hidden it asks again. All waiting and all I/O of a request happen
//! here, and dropping it gives everything back.

mod active_stream;
mod admission;
mod affinity_choice;
mod answer;
mod answer_cost;
mod asked_call;
mod attempt;
#[cfg(test)]
mod bench;
mod budgeted;
mod budgeting;
mod caching;
mod call_headers;
mod cost_watch;
mod costs;
mod counting;
mod details;
mod drain;
mod events;
mod explain;
mod explanation;
mod failed;
mod fetch;
mod figures;
mod hedge_controller;
mod hedging;
mod held;
mod hints;
mod leasing;
mod limits;
mod native;
mod open_attempt;
mod output_limits;
mod payload;
mod pin;
mod pipe;
mod ranking;
mod redacted;
mod relay;
mod request;
mod request_run;
mod request_trace;
mod rescue;
mod reservation;
mod routing_state;
mod run;
mod send_buffer;
mod session;
mod shared;
mod stream_abort;
mod token_failures;
mod tokens;
mod unfit;
mod verdict;

pub use affinity_choice::AffinityChoice;
pub use answer::{AnswerBody, ProxyResponse};
pub use budgeting::CostLook;
#[cfg(feature = "internals")]
pub use caching::told::ToldStream;
pub use caching::{Caching, FlightCounts, Flights, ProviderMark};
pub use counting::Counted;
pub use explanation::{
    CandidateStanding, Explanation, Fate, KeyExplanation, KeyTurn, Question, UpstreamExplanation,
    UpstreamSettings,
};
pub use failed::Failed;
pub use figures::{CurrentFigures, USUAL_PROMPT};
pub use hedge_controller::HedgeController;
pub use native::NativeOperations;
pub use output_limits::OutputLimits;
pub use payload::{FormPayload, PassedBody, PassedCall, Payload};
#[cfg(feature = "internals")]
pub use relay::Relay;
pub use request::{Continuation, Endpoint, Request};
pub use routing_state::RoutingState;
pub use shared::Dispatch;
pub use token_failures::TokenFailures;
